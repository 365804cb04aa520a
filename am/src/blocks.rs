//! Where the bytes of input files are: the nodes that hold the blocks of each file, as the NameNode tells them
//! (`ClientProtocol.getBlockLocations`), and from them the nodes on which a task would find most of its input.
//!
//! This is advice: whatever goes wrong, tasks without known places run anywhere. So nothing here fails, and the time and
//! the number of files that are asked about are bounded.

use std::collections::BTreeMap;
use std::time::Duration;

use dfs::{DfsPath, FileSystems};
use driver::event::TaskInput;
use futures::stream;
use futures::{StreamExt as _, TryStreamExt as _};
use wire::task::InputSlice;
use yarn_rpc::client::{ClientIdentity, RpcClient, RpcConfig};
use yarn_rpc::connection::Protocol;
use yarn_rpc::error::RpcError;

/// The most files of a stage whose blocks are asked for; tasks that read others have no preference.
const MOST_FILES: usize = 20_000;
/// Questions under way at a time.
const AT_A_TIME: usize = 16;
/// How long a stage's planning may take longer for this.
const PATIENCE: Duration = Duration::from_secs(20);
/// How long one question may take.
const ANSWER: Duration = Duration::from_secs(10);
/// Nodes that a task is told to prefer, at most: those with most of its input (`FilePartition` of Spark names as many).
const NODES: usize = 3;

/// `GetBlockLocationsRequestProto` of Hadoop's `ClientNamenodeProtocol.proto`.
#[derive(Clone, PartialEq, prost::Message)]
struct GetBlockLocationsRequest {
    #[prost(string, required, tag = "1")]
    src: String,
    #[prost(uint64, required, tag = "2")]
    offset: u64,
    #[prost(uint64, required, tag = "3")]
    length: u64,
}

#[derive(Clone, PartialEq, prost::Message)]
struct GetBlockLocationsResponse {
    #[prost(message, optional, tag = "1")]
    locations: Option<LocatedBlocks>,
}

/// `LocatedBlocksProto` of `hdfs.proto`, as far as it is of use.
#[derive(Clone, PartialEq, prost::Message)]
struct LocatedBlocks {
    #[prost(message, repeated, tag = "2")]
    blocks: Vec<LocatedBlock>,
}

/// `LocatedBlockProto`.
#[derive(Clone, PartialEq, prost::Message)]
struct LocatedBlock {
    #[prost(message, optional, tag = "1")]
    block: Option<ExtendedBlock>,
    /// The block's first byte in the file.
    #[prost(uint64, optional, tag = "2")]
    offset: Option<u64>,
    #[prost(message, repeated, tag = "3")]
    places: Vec<DatanodeInfo>,
}

/// `ExtendedBlockProto`.
#[derive(Clone, PartialEq, prost::Message)]
struct ExtendedBlock {
    #[prost(uint64, optional, tag = "4")]
    bytes: Option<u64>,
}

/// `DatanodeInfoProto`.
#[derive(Clone, PartialEq, prost::Message)]
struct DatanodeInfo {
    #[prost(message, optional, tag = "1")]
    id: Option<DatanodeId>,
}

/// `DatanodeIDProto`.
#[derive(Clone, PartialEq, prost::Message)]
struct DatanodeId {
    #[prost(string, optional, tag = "2")]
    host_name: Option<String>,
}

/// A part of a file and who has it.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Block {
    offset: u64,
    length: u64,
    hosts: Vec<String>,
}

impl From<LocatedBlock> for Block {
    fn from(block: LocatedBlock) -> Self {
        let hosts = block.places.into_iter().filter_map(|place| place.id?.host_name);
        Self {
            offset: block.offset.unwrap_or(0),
            length: block.block.and_then(|block| block.bytes).unwrap_or(0),
            hosts: hosts.collect(),
        }
    }
}

/// The blocks of files, by URI.
type Blocks = BTreeMap<String, Vec<Block>>;

/// Notes with each task the nodes that hold most of its input, the best first.
pub(crate) async fn locate(systems: &FileSystems, tasks: &mut [TaskInput]) {
    let blocks = blocks_of(systems, files(tasks)).await;
    if blocks.is_empty() {
        return;
    }
    for task in tasks {
        task.hosts = nearest(&task.inputs, &blocks);
    }
}

/// What the tasks read, each file once.
fn files(tasks: &[TaskInput]) -> Vec<DfsPath> {
    let mut uris: Vec<&str> = tasks
        .iter()
        .flat_map(|task| &task.inputs)
        .map(|slice| slice.uri.as_str())
        .collect();
    uris.sort_unstable();
    uris.dedup();
    let paths = uris.into_iter().take(MOST_FILES);
    paths.filter_map(|uri| uri.parse().ok()).collect()
}

/// Asks the NameNodes, each file system over one connection.
async fn blocks_of(systems: &FileSystems, files: Vec<DfsPath>) -> Blocks {
    let mut clients: BTreeMap<DfsPath, Option<NameNode>> = BTreeMap::new();
    let mut questions = Vec::new();
    for file in files {
        let root = file.root();
        let client = clients
            .entry(root.clone())
            .or_insert_with(|| NameNode::find(systems, &root));
        questions.extend(client.clone().map(|namenode| namenode.ask(file)));
    }
    let mut blocks = Blocks::new();
    let gathering = gather(questions, &mut blocks);
    match tokio::time::timeout(PATIENCE, gathering).await {
        Ok(Ok(())) => {}
        Ok(Err(error)) => {
            tracing::warn!(error = error.chain(), "where input files are cannot be learned");
        }
        Err(_) => tracing::warn!("where input files are takes too long to learn"),
    }
    blocks
}

/// Takes answers as they come, up to the first that is none: the others would fare no better.
async fn gather(
    questions: Vec<impl Future<Output = Result<(String, Vec<Block>), RpcError>>>,
    blocks: &mut Blocks,
) -> Result<(), RpcError> {
    let mut answers = stream::iter(questions).buffer_unordered(AT_A_TIME);
    while let Some((file, found)) = answers.try_next().await? {
        blocks.insert(file, found);
    }
    Ok(())
}

/// The NameNodes of a file system.
#[derive(Clone)]
struct NameNode {
    rpc: RpcClient,
    /// How many there are; a standby sends us on to the next.
    count: usize,
}

impl NameNode {
    /// None when the file system has no NameNode.
    fn find(systems: &FileSystems, root: &DfsPath) -> Option<Self> {
        let addresses = systems.namenodes(root);
        (!addresses.is_empty()).then(|| Self::new(addresses, systems.user()))
    }

    fn new(addresses: Vec<String>, user: &str) -> Self {
        let count = addresses.len();
        let identity = ClientIdentity::User(user.to_owned());
        let rpc = RpcClient::new(addresses, Protocol::HDFS_CLIENT, identity, RpcConfig::default());
        Self { rpc, count }
    }

    async fn ask(self, file: DfsPath) -> Result<(String, Vec<Block>), RpcError> {
        let blocks = self.blocks(file.path()).await?;
        Ok((file.to_string(), blocks))
    }

    async fn blocks(&self, path: &str) -> Result<Vec<Block>, RpcError> {
        let request = GetBlockLocationsRequest {
            src: path.to_owned(),
            offset: 0,
            length: i64::MAX as u64,
        };
        let mut turn = 1;
        loop {
            let answer: Result<GetBlockLocationsResponse, _> =
                self.rpc.call_within("getBlockLocations", &request, ANSWER).await;
            match answer {
                Ok(answer) => {
                    let blocks = answer.locations.map(|located| located.blocks);
                    return Ok(blocks.unwrap_or_default().into_iter().map(Block::from).collect());
                }
                Err(_) if turn < self.count => turn += 1,
                Err(error) => return Err(error),
            }
        }
    }
}

/// The nodes that hold most bytes of these slices, the best first; of equal ones the smaller name.
fn nearest(slices: &[InputSlice], blocks: &Blocks) -> Vec<String> {
    let mut held: BTreeMap<&str, u64> = BTreeMap::new();
    for slice in slices {
        // In the order of their offsets, as the NameNode gives them.
        let all = blocks.get(&slice.uri).map_or(&[][..], Vec::as_slice);
        let first = all.partition_point(|block| block.offset.saturating_add(block.length) <= slice.offset);
        let end = slice.offset.saturating_add(slice.length);
        for block in all[first..].iter().take_while(|block| block.offset < end) {
            let bytes = overlap(slice, block);
            for host in block.hosts.iter().filter(|_| bytes > 0) {
                *held.entry(host).or_insert(0) += bytes;
            }
        }
    }
    let mut hosts: Vec<_> = held.into_iter().collect();
    hosts.sort_by_key(|&(_, bytes)| std::cmp::Reverse(bytes));
    hosts.truncate(NODES);
    hosts.into_iter().map(|(host, _)| host.to_owned()).collect()
}

/// Bytes that a slice and a block have in common.
fn overlap(slice: &InputSlice, block: &Block) -> u64 {
    let start = slice.offset.max(block.offset);
    let slice_end = slice.offset.saturating_add(slice.length);
    slice_end
        .min(block.offset.saturating_add(block.length))
        .saturating_sub(start)
}

#[cfg(test)]
mod tests {
    use super::*;
    use prost::Message as _;

    fn slice(uri: &str, offset: u64, length: u64) -> InputSlice {
        InputSlice {
            uri: uri.to_owned(),
            offset,
            length,
            cut_at_lines: true,
        }
    }

    fn block(offset: u64, length: u64, hosts: &[&str]) -> Block {
        Block {
            offset,
            length,
            hosts: hosts.iter().map(|&host| host.to_owned()).collect(),
        }
    }

    fn blocks() -> Blocks {
        let a = vec![
            block(0, 100, &["n1", "n2"]),
            block(100, 100, &["n2", "n3"]),
            block(200, 50, &["n4", "n5"]),
        ];
        let b = vec![block(0, 80, &["n5"])];
        BTreeMap::from([("a".to_owned(), a), ("b".to_owned(), b)])
    }

    #[test]
    fn a_task_prefers_the_nodes_with_most_of_its_input() {
        let nearest = |slices: &[InputSlice]| nearest(slices, &blocks());
        assert_eq!(nearest(&[slice("a", 100, 100)]), ["n2", "n3"]);
        // 30 bytes of the first block and 100 of the second.
        assert_eq!(nearest(&[slice("a", 70, 130)]), ["n2", "n3", "n1"]);
        assert_eq!(nearest(&[slice("a", 200, 50), slice("b", 0, 80)]), ["n5", "n4"]);
        assert!(nearest(&[slice("unknown", 0, 9)]).is_empty());
        assert!(nearest(&[slice("a", 0, 0)]).is_empty());
    }

    #[test]
    fn no_more_than_three_nodes_are_named() {
        let many = vec![block(0, 10, &["d", "c", "b", "a"])];
        let blocks = BTreeMap::from([("f".to_owned(), many)]);
        assert_eq!(nearest(&[slice("f", 0, 10)], &blocks), ["a", "b", "c"]);
    }

    #[test]
    fn every_file_is_asked_about_once() {
        let inputs = vec![slice("hdfs://nn/a", 0, 5), slice("hdfs://nn/a", 5, 5)];
        let task = TaskInput {
            inputs,
            ..TaskInput::default()
        };
        assert_eq!(files(&[task.clone(), task]), ["hdfs://nn/a".parse().unwrap()]);
    }

    /// An answer of a NameNode of Hadoop 3.4.3 for a file of one block on a node called localhost.
    #[test]
    fn the_answer_of_a_namenode_is_understood() {
        let message = GetBlockLocationsResponse::decode(&include_bytes!("blocks/answer.bin")[..]).unwrap();
        let blocks: Vec<Block> = message
            .locations
            .unwrap()
            .blocks
            .into_iter()
            .map(Block::from)
            .collect();
        assert_eq!(blocks, [block(0, 6, &["localhost"])]);
    }

    #[tokio::test]
    async fn files_without_a_namenode_have_no_places() {
        let conf = BTreeMap::from([("fs.defaultFS".to_owned(), "file:///".to_owned())]);
        let conf = hadoop::conf::Configuration::from_map(conf);
        let systems = FileSystems::builder(&conf, "ada").build().unwrap();
        let mut tasks = vec![TaskInput {
            inputs: vec![slice("file:///a", 0, 5)],
            ..TaskInput::default()
        }];
        locate(&systems, &mut tasks).await;
        assert!(tasks[0].hosts.is_empty());
    }
}
