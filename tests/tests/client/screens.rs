//! What stands on the person's terminal, by a pseudo-terminal, and what is printed where there is none.

use harness::process::Drawloom;
use harness::snapshot::steady;
use harness::terminal::Terminal;
use harness::wait;
use mini::Order;
use std::fs;

use crate::lab::{Lab, STEP};

fn lab() -> Lab {
    Lab::new(|options| options.nodes = 1)
}

/// A command on a terminal. Colours are as by default.
fn on_terminal(lab: &Lab, columns: u16, args: &[&str]) -> Terminal {
    lab.drawloom(args).on_terminal(columns).unwrap()
}

/// Writes a job of four tasks on one executor: the first two end at once, the others wait at the gate.
fn write_job(lab: &Lab) {
    let text = format!(
        "version: 1\nname: half\nexecutors: {{ instances: 1, memory: 256MiB, cores: 1 }}\n\
         conf: {{ client.poll-interval: 100ms }}\nstages:\n  - name: count\n    tasks: 4\n    shell: |\n      \
         if [ $DRAWLOOM_TASK -ge 2 ]; then {}; fi\n",
        lab.gate().replace('\n', "; ")
    );
    fs::write(lab.home().join("half.yaml"), text).unwrap();
}

/// The lines without their times, the home's path, and rates.
fn without_times(lab: &Lab, screen: &str) -> String {
    let home = lab.home().display().to_string();
    let lines = screen.lines().map(|line| {
        let time = line.trim_start().split_once("s  ");
        let is_time = |text: &str| text.parse::<f64>().is_ok();
        match time.filter(|(time, _)| is_time(time)) {
            Some((_, rest)) => format!("      T  {rest}"),
            None => line.to_owned(),
        }
    });
    let text = lines.collect::<Vec<_>>().join("\n").replace(&home, "HOME");
    let text = steady(&text, &["done in ", "tasks, ", "left, ", "staged     "]);
    text.replace("/var/tmp", "/tmp")
}

/// A screen of `top` without what chance decides: times, sizes, and the widths of columns that follow from them.
fn table(lab: &Lab, screen: &str) -> String {
    let words = screen.lines().map(|line| {
        let words = line.split_whitespace().map(|word| {
            let is_time = word
                .strip_suffix('s')
                .is_some_and(|time| time.parse::<f64>().is_ok());
            let is_size = word
                .strip_suffix("/256")
                .is_some_and(|size| size.parse::<u32>().is_ok());
            match (is_time, is_size) {
                (true, _) => "T".to_owned(),
                (_, true) => "N/256".to_owned(),
                _ => word.to_owned(),
            }
        });
        words.collect::<Vec<_>>().join(" ")
    });
    let text = without_times(lab, &words.collect::<Vec<_>>().join("\n"));
    text.replace(", 0.0 a second", "")
}

fn submit_on_a_terminal(mode: &str) -> (String, String) {
    let lab = lab();
    write_job(&lab);
    let mut terminal = on_terminal(&lab, 160, &["submit", "half.yaml", "--deploy-mode", mode]);
    lab.wait_arrivals(1);
    let during = terminal.wait_for_text("2/4 tasks", STEP).unwrap();
    lab.open_gate();
    let status = terminal.wait(STEP).unwrap();
    assert_eq!(status.code(), Some(0), "{}", terminal.screen());
    let coloured = String::from_utf8_lossy(&terminal.bytes()).into_owned();
    assert!(coloured.contains("\x1b[32msucceeded: 4 of 4 tasks"), "{coloured}");
    let bar = during.lines().last().unwrap().to_owned();
    (bar, without_times(&lab, &terminal.screen()))
}

/// The part of a bar that no chance decides: how much is filled, and the counts.
fn bar_of(line: &str) -> String {
    let counts = line.split("tasks").next().unwrap();
    let filled = counts.matches('=').count() as f64 / counts.find(']').unwrap() as f64;
    assert!((0.4..0.6).contains(&filled), "half is filled: {line}");
    counts.replace(['=', '>', ' '], "")
}

#[test]
fn submit_draws_a_bar_and_takes_it_away() {
    for mode in ["cluster", "client"] {
        let (bar, screen) = submit_on_a_terminal(mode);
        assert_eq!(bar_of(&bar), "[]2/4");
        assert!(bar.contains("1/1 executors"), "{bar}");
        insta::assert_snapshot!(format!("submit_on_a_terminal_{mode}"), screen);
    }
}

#[test]
fn who_waits_for_long_is_told_why_without_asking() {
    let lab = lab();
    write_job(&lab);
    lab.order(&Order::FillDisk(1));
    let mut terminal = on_terminal(&lab, 80, &["submit", "half.yaml"]);
    terminal.wait_for_text("help ", STEP).unwrap();
    lab.order(&Order::FreeDisk(1));
    terminal.wait_for_text("2/4 tasks", STEP).unwrap();
    lab.open_gate();
    let status = terminal.wait(STEP).unwrap();
    let screen = terminal.copied();
    assert_eq!(status.code(), Some(0), "{screen}");
    insta::assert_snapshot!("submit_that_waits", without_times(&lab, &screen));
}

#[test]
fn a_narrow_terminal_gets_a_short_bar() {
    let lab = lab();
    write_job(&lab);
    let mut terminal = on_terminal(&lab, 30, &["submit", "half.yaml", "--quiet", "--color", "never"]);
    lab.wait_arrivals(1);
    lab.open_gate();
    terminal.wait(STEP).unwrap();
    assert_eq!(terminal.screen(), "", "quiet says results and errors only");
    fs::remove_file(lab.home().join("open")).unwrap();
    fs::remove_dir_all(lab.home().join("arrivals")).unwrap();
    let mut terminal = on_terminal(&lab, 30, &["submit", "half.yaml", "--color", "never"]);
    let during = terminal.wait_for_text("2/4 tasks", STEP).unwrap();
    let bar = during.lines().last().unwrap();
    assert!(bar.chars().count() < 30 && bar.starts_with('['), "{bar}");
    lab.open_gate();
    terminal.wait(STEP).unwrap();
    let bytes = String::from_utf8_lossy(&terminal.bytes()).into_owned();
    assert!(!bytes.contains("\x1b[3") && !bytes.contains("\x1b[1m"), "{bytes}");
}

#[test]
fn without_a_terminal_there_are_lines_and_colour_only_on_demand() {
    let lab = lab();
    write_job(&lab);
    lab.open_gate();
    let submit = |args: &[&str]| {
        let output = lab.drawloom(&[&["submit", "half.yaml"], args].concat());
        output.run(STEP).unwrap()
    };
    let plain = submit(&[]);
    assert!(!plain.stderr.contains(['\x1b', '\r']), "{plain}");
    assert!(plain.stderr.contains("s  verdict    succeeded"), "{plain}");
    let coloured = submit(&["--color", "always"]);
    assert!(coloured.stderr.contains("\x1b[32msucceeded"), "{coloured}");
    assert!(!coloured.stderr.contains('\r'), "no bar: {coloured}");
    let error = lab.drawloom(&["status", "app7", "--color", "always"]);
    let error = error.run(STEP).unwrap();
    assert!(error.stderr.starts_with("\x1b[1;31merror:\x1b[0m "), "{error}");
}

#[test]
fn no_color_is_respected_and_a_flag_is_stronger() {
    let lab = lab();
    let screen_bytes = |args: &[&str]| {
        let command = lab.drawloom(args).env("TERM", "xterm").env("NO_COLOR", "1");
        let mut terminal = Terminal::start(command.into_command(), 80, 24).unwrap();
        terminal.wait(STEP).unwrap();
        String::from_utf8_lossy(&terminal.bytes()).into_owned()
    };
    assert!(!screen_bytes(&["doctor"]).contains('\x1b'));
    assert!(screen_bytes(&["doctor", "--color", "always"]).contains("\x1b[32mok"));
}

/// What a command that ends so leaves on a terminal, without what chance decides.
fn shown(lab: &Lab, code: i32, command: Drawloom) -> String {
    let terminal = command.on_terminal(80).unwrap();
    let (ended, screen) = terminal.finish(STEP).unwrap();
    assert_eq!(ended, Some(code), "{screen}");
    let conf = lab.cluster().conf_dir().display().to_string();
    let screen = without_times(lab, &screen.replace(&conf, "CONF"));
    screen.replace(env!("CARGO_PKG_VERSION"), "VERSION")
}

#[test]
fn doctor_explain_logs_and_top_on_a_terminal() {
    let lab = lab();
    let shown = |args: &[&str]| shown(&lab, 0, lab.drawloom(args));
    insta::assert_snapshot!("doctor", shown(&["doctor"]));
    let script = format!("echo words of the task >&2\n{}\necho last words >&2", lab.gate());
    let job = lab.job("screens", 1, 1, &script);
    lab.wait_arrivals(1);
    job.wait_executors(0, 1);
    insta::assert_snapshot!("explain", shown(&["explain", &job.id]));
    let container = job.container(2);
    let logs = || shown(&["logs", &job.id, "--executor", &container, "--task", "work/0"]);
    // They come into the log by way of the executor.
    wait::until("its words", STEP, || logs().contains("words of the task")).unwrap();
    insta::assert_snapshot!("logs", logs());
    let top = |columns, text| {
        let top = on_terminal(&lab, columns, &["top", &job.id, "--interval", "100ms"]);
        top.wait_for_picture(text, STEP).unwrap()
    };
    insta::assert_snapshot!("top", table(&lab, &top(160, "alive")));
    insta::assert_snapshot!("top_80", table(&lab, &top(80, "alive")));
    for (columns, text) in [(20, "…01_0"), (40, "…01_000002")] {
        let seen = top(columns, text);
        let widest = seen.lines().map(|line| line.chars().count()).max();
        assert!(widest <= Some(columns.into()), "{columns}: {seen}");
    }
    let is_once = |top: Drawloom| {
        let (code, screen) = top.on_terminal(160).unwrap().finish(STEP).unwrap();
        assert_eq!(code, Some(0), "{screen}");
        assert!(screen.contains("EXECUTOR"), "{screen}");
    };
    // It cannot be drawn upon.
    is_once(lab.drawloom(&["top", &job.id]).through(&["env", "TERM=dumb"]));
    let lines = lab.drawloom(&["top", &job.id]).run(STEP).unwrap().stdout;
    assert!(!lines.contains('\x1b') && lines.contains("EXECUTOR"), "{lines}");
    let follow = on_terminal(&lab, 80, &["logs", &job.id, "-f", "--task", "work/0"]);
    follow.wait_for_text("words of the task", STEP).unwrap();
    job.succeed();
    let (code, followed) = follow.finish(STEP).unwrap();
    assert_eq!(code, Some(0), "{followed}");
    insta::assert_snapshot!("logs_followed", followed);
}

#[test]
fn doctor_says_of_each_part_what_is_wrong_and_what_to_do() {
    // An ApplicationMaster and an executor, and nothing is free.
    let lab = Lab::new(|options| {
        options.nodes = 1;
        options.node_memory_mb = 512;
    });
    let doctor = |args: &[&str]| {
        let command = lab.drawloom(&[&["doctor"], args].concat());
        command.env("DRAWLOOM_EXECUTORS_MEMORY", "256MiB")
    };
    let wrong = |name: &str, command: Drawloom| {
        insta::assert_snapshot!(format!("doctor_{name}"), shown(&lab, 3, command));
    };
    wrong("queue", doctor(&["--queue", "nope"]));
    wrong("settings", doctor(&[]).env("DRAWLOOM_EXECUTORS_CORES", "many"));
    fs::write(lab.home().join("file"), "").unwrap();
    let below = format!("file://{}/file/below", lab.home().display());
    wrong("staging", doctor(&[]).env("DRAWLOOM_STAGING_DIR", below));
    wrong("too_large", doctor(&[]).env("DRAWLOOM_EXECUTORS_MEMORY", "1GiB"));
    wrong("configuration", doctor(&["--conf-dir", "/nowhere"]));
    let job = lab.gated("holds-all", 1, 1, 1);
    let full = || shown(&lab, 0, doctor(&[]));
    wait::until("nothing to be free", STEP, || full().contains("warn nodes")).unwrap();
    insta::assert_snapshot!("doctor_full", full());
    job.succeed();
    lab.order(&Order::FillDisk(1));
    let nodes = || {
        let output = doctor(&[]).run(STEP).unwrap();
        output.stdout.contains("fail nodes")
    };
    wait::until("no node to take containers", STEP, nodes).unwrap();
    wrong("nodes", doctor(&[]));
    lab.order(&Order::StopResourceManager);
    wrong("resource_manager", doctor(&[]));
}

#[test]
fn several_may_be_attached_at_once() {
    let lab = lab();
    let job = lab.gated("followed", 1, 1, 1);
    let mut attached: Vec<_> = (0..3)
        .map(|_| lab.drawloom(&["attach", &job.id]).spawn().unwrap())
        .collect();
    for client in &mut attached {
        client.wait_for_text("tasks      0/1", STEP).unwrap();
    }
    // One that stops to look changes nothing for the others.
    attached[0].signal(harness::hadoop::Signal::INT).unwrap();
    let mut clients = attached.into_iter();
    clients
        .next()
        .unwrap()
        .wait(STEP)
        .unwrap()
        .must_end(130, &["goes on"]);
    wait::until("the job", STEP, || job.executors().len() == 1).unwrap();
    job.succeed();
    for client in clients {
        client.wait(STEP).unwrap().must_end(0, &["verdict    succeeded"]);
    }
}

#[test]
fn followed_logs_have_every_line_of_every_task_and_end_with_the_application() {
    let lab = lab();
    let script = format!("echo begun >&2\n{}\necho last words >&2", lab.gate());
    let job = lab.job("followed-logs", 2, 2, &script);
    lab.wait_arrivals(2);
    let mut follow = lab.drawloom(&["logs", &job.id, "-f"]).spawn().unwrap();
    for task in ["/0.0] begun", "/1.0] begun"] {
        follow.wait_for_text(task, STEP).unwrap();
    }
    job.succeed();
    let output = follow.wait(STEP).unwrap();
    output.must_end(0, &[]);
    for task in ["/0.0]", "/1.0]"] {
        let said = output.stdout.lines().filter(|line| line.contains(task));
        let said: Vec<_> = said.filter_map(|line| line.split_once("] ")).collect();
        let words: Vec<_> = said.iter().map(|(_, words)| *words).collect();
        assert_eq!(words, ["begun", "last words"], "{output}");
    }
}
