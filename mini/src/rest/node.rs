//! A NodeManager's REST API (`NMWebServices`).

use hadoop::ids::ContainerId;
use http::Method;
use serde_json::{Value, json};

use super::error::{Outcome, RestError, answered};
use crate::http_server::{Answer, Answering, Request, Site};
use crate::node_manager::{ContainerView, LogFile, NodeManager, Stage};
use crate::time;

/// Everything on a node's web port.
pub(crate) struct NodeSite {
    pub(crate) node: NodeManager,
}

impl Site for NodeSite {
    fn answer(&self, request: Request) -> Answering<'_> {
        Box::pin(async move {
            let segments = request.segments();
            let parts: Vec<&str> = segments.iter().map(String::as_str).collect();
            if !matches!(request.method, Method::GET | Method::HEAD) {
                // Jersey's 405, as `GenericExceptionHandler` passes it on.
                return RestError::internal("HTTP 405 Method Not Allowed").answer();
            }
            answered(self.read(&request, &parts))
        })
    }
}

impl NodeSite {
    fn read(&self, request: &Request, parts: &[&str]) -> Outcome {
        match parts {
            ["ws", "v1", "node"] | ["ws", "v1", "node", "info"] => Ok(json_answer(&self.info())),
            ["ws", "v1", "node", "containers"] => Ok(json_answer(&self.containers())),
            ["ws", "v1", "node", "containers", id] => {
                let view = self.find(id)?;
                Ok(json_answer(&json!({"container": self.container(&view)})))
            }
            ["ws", "v1", "node", "containers", id, "logs"] => self.logs(id),
            ["ws", "v1", "node", "containers", id, "logs", file]
            | ["ws", "v1", "node", "containerlogs", id, file]
            | ["node", "containerlogs", id, _, file] => self.log(request, id, file),
            ["node", "containerlogs", id, user] => self.log_page(id, user),
            _ => Err(RestError::not_found(format!("null for uri: {}", request.path))),
        }
    }

    fn info(&self) -> Value {
        let facts = self.node.facts();
        json!({"nodeInfo": {
            "id": facts.id.to_string(),
            "nodeHostName": facts.id.host,
            "totalPmemAllocatedContainersMB": facts.total.memory_mb,
            "totalVCoresAllocatedContainers": facts.total.vcores,
            "nodeHealthy": true,
            "healthReport": "",
            "nodeManagerVersion": "3.4.3",
            "hadoopVersion": "3.4.3",
        }})
    }

    fn containers(&self) -> Value {
        let containers = self.node.containers();
        let containers: Vec<Value> = containers.iter().map(|view| self.container(view)).collect();
        match containers.is_empty() {
            true => json!({"containers": {}}),
            false => json!({"containers": {"container": containers}}),
        }
    }

    fn container(&self, view: &ContainerView) -> Value {
        let facts = self.node.facts();
        let link = format!(
            "http://{}/node/containerlogs/{}/{}",
            facts.http_address, view.id, view.user
        );
        let files = self.node.log_files(view.id).unwrap_or_default();
        json!({
            "id": view.id.to_string(),
            "state": match view.stage {
                Stage::Localizing => "LOCALIZING",
                Stage::Running => "RUNNING",
                Stage::Done => "DONE",
            },
            "exitCode": view.exit_status,
            "diagnostics": view.diagnostics,
            "user": view.user,
            "totalMemoryNeededMB": view.resource.memory_mb,
            "totalVCoresNeeded": view.resource.vcores,
            "executionType": "GUARANTEED",
            "containerLogsLink": link,
            "nodeId": facts.id.to_string(),
            "containerLogFiles": files.iter().map(|file| file.name.as_str()).collect::<Vec<_>>(),
        })
    }

    fn find(&self, id: &str) -> Result<ContainerView, RestError> {
        let parsed: ContainerId = id
            .parse()
            .map_err(|_| RestError::bad_request(format!("invalid container id, {id}")))?;
        let found = self.node.container(parsed);
        found.ok_or_else(|| RestError::not_found(format!("container with id, {id}, not found")))
    }

    fn files(&self, id: &str) -> Result<Vec<LogFile>, RestError> {
        let view = self.find(id)?;
        let files = self.node.log_files(view.id);
        files.map_err(|_| RestError::not_found(format!("Cannot find log directory for {id}")))
    }

    fn logs(&self, id: &str) -> Outcome {
        let files = self.files(id)?;
        let file = |file: &LogFile| {
            json!({
                "fileName": file.name,
                "fileSize": file.size.to_string(),
                "lastModifiedTime": time::listing(file.modified_ms),
            })
        };
        Ok(json_answer(&json!({"containerLogsInfo": {
            "containerLogInfo": files.iter().map(file).collect::<Vec<_>>(),
            "logAggregationType": "LOCAL",
            "containerId": id,
            "nodeId": self.node.facts().id.to_string(),
        }})))
    }

    fn log(&self, request: &Request, id: &str, file: &str) -> Outcome {
        let missing = || format!("java.lang.Exception: Cannot find this log on the local disk: {file}\n");
        let Ok(container) = id.parse::<ContainerId>() else {
            return Ok(Answer::text(404, missing()));
        };
        let size = request.parameter("size").and_then(|size| size.parse().ok());
        Ok(match self.node.log(container, file, size) {
            Ok(bytes) => Answer::new(200, "text/plain;charset=utf-8", bytes),
            Err(_) => Answer::text(404, missing()),
        })
    }

    fn log_page(&self, id: &str, user: &str) -> Outcome {
        let mut page = format!("<!DOCTYPE html>\n<html><body><h1>Logs of {id}</h1><ul>\n");
        for file in self.files(id)? {
            let name = &file.name;
            page += &format!(
                "<li><a href=\"/node/containerlogs/{id}/{user}/{name}\">{name}</a>, {} bytes\n",
                file.size
            );
        }
        Ok(Answer::html(200, page + "</ul></body></html>\n"))
    }
}

fn json_answer(value: &Value) -> Answer {
    Answer::json(200, value.to_string())
}
