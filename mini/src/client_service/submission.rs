//! Submissions as they come over RPC.

use std::sync::Arc;

use yarn_rpc::proto::yarn as pb;
use yarn_rpc::records::Resource;

use super::{application_id, asked};
use crate::failure::Failure;
use crate::launch;
use crate::resource_manager::Submission;

/// Reads a submission.
///
/// # Errors
/// What `RMAppManager` refuses: more than there can be, labels where there are none.
pub(super) fn read(
    context: &pb::ApplicationSubmissionContextProto,
    maximum: &Resource,
) -> Result<Submission, Failure> {
    let resource = asked(context);
    let asks = &context.am_container_resource_request;
    crate::resource_manager::check_size(&resource, maximum)?;
    crate::resource_manager::check_label(context.node_label_expression())?;
    asks.iter()
        .try_for_each(|ask| crate::resource_manager::check_label(ask.node_label_expression()))?;
    let spec = context.am_container_spec.clone().unwrap_or_default();
    let launched = launch::from_wire(&spec).map_err(|text| Failure::yarn("YarnException", text))?;
    Ok(Submission {
        id: application_id(context.application_id.as_ref())?,
        name: context
            .application_name
            .clone()
            .unwrap_or_else(|| "N/A".to_owned()),
        application_type: context
            .application_type
            .clone()
            .unwrap_or_else(|| "YARN".to_owned()),
        queue: context.queue.clone().filter(|queue| !queue.is_empty()),
        priority: context.priority.as_ref().map_or(-1, pb::PriorityProto::priority),
        tags: context.application_tags.clone(),
        max_attempts: u32::try_from(context.max_app_attempts()).unwrap_or(0),
        keep_containers: context.keep_containers_across_application_attempts(),
        failures_validity_ms: context.attempt_failures_validity_interval(),
        resource,
        context: Arc::new(launched),
    })
}

/// How long the application may live, in milliseconds, if anything is said of that.
pub(super) fn lifetime_ms(context: &pb::ApplicationSubmissionContextProto) -> Option<u64> {
    let first = context.application_timeouts.first()?;
    u64::try_from(first.timeout?).ok()?.checked_mul(1000)
}
