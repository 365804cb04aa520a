//! What an executor is to run, in messages that each fit into a frame.
//!
//! A frame that is too long ends its connection, and the executor would be ordered the same again on the next one.

use wire::message::GatewayMessage;
use wire::task::{MOST_DESCRIBED, StageSpec, TaskSpec};

/// The orders for these tasks, in as few messages as fit. The stages come with the first.
#[must_use]
pub fn orders(mut stages: Vec<StageSpec>, tasks: Vec<TaskSpec>) -> Vec<GatewayMessage> {
    let mut messages = Vec::new();
    let (mut batch, mut bytes) = (Vec::new(), 0);
    for task in tasks {
        let more = task.described_bytes();
        if bytes + more > MOST_DESCRIBED && !batch.is_empty() {
            let (stages, tasks) = (std::mem::take(&mut stages), std::mem::take(&mut batch));
            messages.push(GatewayMessage::Launch { stages, tasks });
            bytes = 0;
        }
        bytes += more;
        batch.push(task);
    }
    let tasks = batch;
    messages.push(GatewayMessage::Launch { stages, tasks });
    messages
}

#[cfg(test)]
mod tests {
    use super::*;
    use bytes::BytesMut;
    use wire::frame;
    use wire::id::{BootNonce, Epoch};
    use wire::message::Envelope;
    use wire::task::InputSlice;

    fn task(partition: u32, files: usize) -> TaskSpec {
        let slice = InputSlice {
            uri: "hdfs://namenode.example.com:8020/data/2026/11/21/part-00000.parquet".repeat(2),
            offset: u64::MAX,
            length: u64::MAX,
            cut_at_lines: true,
        };
        TaskSpec {
            id: format!("0:0.0/{partition}.0").parse().unwrap(),
            item: None,
            inputs: vec![slice; files],
        }
    }

    fn encoded(message: &GatewayMessage) -> Result<(), frame::FrameError> {
        let (epoch, boot, message) = (Epoch(1), BootNonce(1), message.clone());
        let envelope = Envelope { epoch, boot, message };
        frame::encode(envelope, &mut BytesMut::new())
    }

    #[test]
    fn many_long_tasks_go_in_several_frames_and_none_is_lost() {
        let tasks: Vec<_> = (0..8).map(|partition| task(partition, 20_000)).collect();
        let whole = GatewayMessage::Launch {
            stages: vec![],
            tasks: tasks.clone(),
        };
        assert!(encoded(&whole).is_err(), "they do not fit into one");
        let messages = orders(vec![], tasks.clone());
        let mut sent = Vec::new();
        for message in messages {
            encoded(&message).unwrap();
            if let GatewayMessage::Launch { tasks, .. } = message {
                sent.extend(tasks);
            }
        }
        assert_eq!(sent, tasks);
    }

    #[test]
    fn few_tasks_go_in_one() {
        assert_eq!(orders(vec![], vec![task(0, 1), task(1, 10_000)]).len(), 1);
    }
}
