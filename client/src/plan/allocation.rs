//! Pools from the file that Spark's fair scheduler reads (`fairscheduler.xml`).
//!
//! The names are those of Spark's `FairSchedulableBuilder`: `pool` elements with a `name`, and in them
//! `schedulingMode`, `weight` and `minShare`. Where Spark logs a value that it cannot read and takes its default, we
//! refuse it. As in Spark, work without a pool is in the pool `default` if the file has one.

use std::path::Path;

use driver::policy::{PoolMode, PoolPlan};
use roxmltree::{Document, Node};

/// The setting that names the file; Spark's is `spark.scheduler.allocation.file`.
pub(super) const SETTING: &str = "scheduler.allocation.file";
/// The pool of whatever names none.
pub(super) const DEFAULT: &str = "default";

/// Reads a file; a relative path is relative to the job file.
pub(super) fn read(job: &Path, file: &str) -> Result<Vec<PoolPlan>, String> {
    let path = file.strip_prefix("file://").unwrap_or(file);
    let path = job.parent().unwrap_or(Path::new("")).join(path);
    let text = std::fs::read_to_string(&path);
    let text = text.map_err(|error| format!("{SETTING}: {} cannot be read: {error}", path.display()))?;
    parse(&text).map_err(|why| format!("{SETTING}: {}: {why}", path.display()))
}

fn parse(text: &str) -> Result<Vec<PoolPlan>, String> {
    let document = Document::parse(text).map_err(|error| error.to_string())?;
    let root = document.root_element();
    if !root.has_tag_name("allocations") {
        let name = root.tag_name().name();
        return Err(format!("the root should be <allocations>, not <{name}>"));
    }
    let pools = root
        .children()
        .filter(Node::is_element)
        .map(|node| pool(&document, node));
    pools.collect()
}

fn pool(document: &Document<'_>, node: Node<'_, '_>) -> Result<PoolPlan, String> {
    let line = document.text_pos_at(node.range().start).row;
    if !node.has_tag_name("pool") {
        return Err(format!(
            "line {line}: <{}> should be <pool>",
            node.tag_name().name()
        ));
    }
    let name = node.attribute("name").filter(|name| !name.is_empty());
    let name = name.ok_or_else(|| format!("line {line}: a pool needs a name"))?;
    let mut pool = PoolPlan {
        name: name.to_owned(),
        ..PoolPlan::default()
    };
    for field in node.children().filter(Node::is_element) {
        let value = field.text().unwrap_or_default().trim();
        set(&mut pool, field.tag_name().name(), value)
            .map_err(|why| format!("line {line}: pool {name}: {why}"))?;
    }
    Ok(pool)
}

fn set(pool: &mut PoolPlan, field: &str, value: &str) -> Result<(), String> {
    let number = || {
        value
            .parse()
            .map_err(|_| format!("{field} {value:?} should be a whole number"))
    };
    match field {
        "schedulingMode" => pool.mode = mode(value)?,
        "weight" => pool.weight = number()?,
        "minShare" => pool.min_share = number()?,
        other => {
            return Err(format!(
                "<{other}> is none of schedulingMode, weight and minShare"
            ));
        }
    }
    if pool.weight == 0 {
        return Err("a weight of 0 would give it nothing: at least 1".to_owned());
    }
    Ok(())
}

fn mode(text: &str) -> Result<PoolMode, String> {
    match text.to_ascii_uppercase().as_str() {
        "FAIR" => Ok(PoolMode::Fair),
        "FIFO" => Ok(PoolMode::Fifo),
        _ => Err(format!("schedulingMode {text:?} should be FIFO or FAIR")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The example of Spark's documentation ("Job Scheduling").
    const SPARK: &str = r#"<?xml version="1.0"?>
<allocations>
  <pool name="production">
    <schedulingMode>FAIR</schedulingMode>
    <weight>1</weight>
    <minShare>2</minShare>
  </pool>
  <pool name="test">
    <schedulingMode>FIFO</schedulingMode>
    <weight>2</weight>
    <minShare>3</minShare>
  </pool>
  <pool name="plain"/>
</allocations>
"#;

    #[test]
    fn the_file_of_sparks_documentation_is_read() {
        let pools = parse(SPARK).unwrap();
        let read: Vec<_> = pools
            .iter()
            .map(|pool| (pool.name.as_str(), pool.mode, pool.weight, pool.min_share))
            .collect();
        let expected = [
            ("production", PoolMode::Fair, 1, 2),
            ("test", PoolMode::Fifo, 2, 3),
            ("plain", PoolMode::Fifo, 1, 0),
        ];
        assert_eq!(read, expected);
    }

    #[test]
    fn what_cannot_be_read_is_told_with_its_line() {
        let problem = |body: &str| parse(&format!("<allocations>\n{body}\n</allocations>")).unwrap_err();
        let pool = |field: &str| problem(&format!("<pool name='a'>{field}</pool>"));
        assert_eq!(
            pool("<weight>many</weight>"),
            "line 2: pool a: weight \"many\" should be a whole number"
        );
        assert!(pool("<weight>0</weight>").contains("at least 1"));
        assert!(pool("<schedulingMode>none</schedulingMode>").contains("should be FIFO or FAIR"));
        assert!(pool("<minshare>1</minshare>").contains("none of schedulingMode, weight and minShare"));
        assert_eq!(problem("<pool/>"), "line 2: a pool needs a name");
        assert!(parse("<pools/>").unwrap_err().contains("should be <allocations>"));
    }
}
