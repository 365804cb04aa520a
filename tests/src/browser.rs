//! A headless Chromium, driven by its DevTools protocol over a pair of pipes (`--remote-debugging-pipe`): no port, no
//! library. Messages are JSON, each ended by a NUL.

use crate::workspace;
use anyhow::{Context, bail, ensure};
use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use serde_json::{Value, json};
use std::env;
use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::thread;
use std::time::{Duration, Instant};

/// Names under which systems have it.
const PROGRAMS: [&str; 5] = [
    "chromium",
    "chromium-browser",
    "google-chrome",
    "google-chrome-stable",
    "chrome-headless-shell",
];
/// Names the program where it is none of these.
const VARIABLE: &str = "CHROMIUM";
/// For an answer of the browser's; its first comes when it has started.
const ANSWER: Duration = Duration::from_secs(60);
/// The release of axe-core.
const AXE: &str = "4.10.3";
/// In seconds; should the test die, the browser does not live on for long.
const LIFE: &str = "900";
/// Nothing outside of this machine is asked for anything.
const OPTIONS: [&str; 11] = [
    "--headless=new",
    "--remote-debugging-pipe",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-dev-shm-usage",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--no-first-run",
    "--hide-scrollbars",
    "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1, EXCLUDE localhost",
];

/// A browser with one open tab; it ends when this is dropped.
#[derive(Debug)]
pub struct Browser {
    child: Child,
    commands: ChildStdin,
    messages: Receiver<Value>,
    session: Option<String>,
    last: u64,
    /// What happened since the last visit began.
    happened: Vec<Value>,
}

/// How a page is looked at.
#[derive(Debug, Clone, Copy)]
pub struct View {
    /// Of the window, in CSS pixels.
    pub width: u32,
    /// Whether the person prefers dark pages.
    pub dark: bool,
}

impl Browser {
    /// The browser's program.
    ///
    /// # Errors
    /// Says how to get one, when there is none.
    pub fn find() -> anyhow::Result<PathBuf> {
        if let Some(named) = env::var_os(VARIABLE) {
            return Ok(named.into());
        }
        let found = PROGRAMS.iter().find_map(|name| workspace::on_path(name));
        found.context(
            "no Chromium is on PATH: `apt-get install chromium`, or `npx playwright install chromium` and its path in \
             the variable CHROMIUM",
        )
    }

    /// Starts one whose files are in `home`.
    ///
    /// # Errors
    /// Fails when there is none, or it does not answer.
    pub fn start(home: &Path) -> anyhow::Result<Self> {
        let mut command = Command::new("timeout");
        // The pipes are the browser's descriptors 3, from which it reads, and 4.
        command
            .args([
                "--kill-after=5",
                LIFE,
                "sh",
                "-c",
                "exec \"$@\" 3<&0 4>&1 </dev/null >/dev/null",
                "sh",
            ])
            .arg(Self::find()?)
            .args(OPTIONS)
            .arg(format!("--user-data-dir={}", home.display()))
            .env("HOME", home)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .process_group(0);
        let mut child = command.spawn().context("cannot start the browser")?;
        let pipes = child.stdin.take().zip(child.stdout.take());
        let (commands, answers) = pipes.context("the browser has no pipes")?;
        let mut browser = Self {
            child,
            commands,
            messages: reader(answers),
            session: None,
            last: 0,
            happened: Vec::new(),
        };
        browser.open_tab()?;
        Ok(browser)
    }

    fn open_tab(&mut self) -> anyhow::Result<()> {
        let target = self.call("Target.createTarget", &json!({ "url": "about:blank" }))?;
        let attach = json!({ "targetId": target["targetId"], "flatten": true });
        let session = self.call("Target.attachToTarget", &attach)?;
        self.session = session["sessionId"].as_str().map(str::to_owned);
        for domain in ["Page", "Runtime", "Log", "Network"] {
            self.call(&format!("{domain}.enable"), &json!({}))?;
        }
        Ok(())
    }

    /// Sends a command of the protocol and waits for its result.
    ///
    /// # Errors
    /// Fails when the browser refuses it, has ended or does not answer.
    pub fn call(&mut self, method: &str, params: &Value) -> anyhow::Result<Value> {
        self.last += 1;
        let mut message = json!({ "id": self.last, "method": method, "params": params });
        if let Some(session) = &self.session {
            message["sessionId"] = session.as_str().into();
        }
        let mut bytes = message.to_string().into_bytes();
        bytes.push(0);
        self.commands.write_all(&bytes).context("the browser has ended")?;
        let deadline = Instant::now() + ANSWER;
        loop {
            let mut message = self.next(deadline, method)?;
            if message["id"] != self.last {
                self.happened.push(message);
                continue;
            }
            ensure!(message["error"].is_null(), "{method}: {}", message["error"]);
            return Ok(message["result"].take());
        }
    }

    fn next(&mut self, deadline: Instant, what: &str) -> anyhow::Result<Value> {
        let left = deadline.saturating_duration_since(Instant::now());
        let message = self.messages.recv_timeout(left);
        message.with_context(|| format!("the browser gives no answer to {what}"))
    }

    /// Looks at pages this way from now on.
    ///
    /// # Errors
    /// As [`Browser::call`].
    pub fn look(&mut self, view: View) -> anyhow::Result<()> {
        let size = json!({ "width": view.width, "height": 900, "deviceScaleFactor": 1, "mobile": false });
        self.call("Emulation.setDeviceMetricsOverride", &size)?;
        let scheme = if view.dark { "dark" } else { "light" };
        let media = json!({ "features": [{ "name": "prefers-color-scheme", "value": scheme }] });
        self.call("Emulation.setEmulatedMedia", &media).map(drop)
    }

    /// Goes to a page and waits until it has loaded.
    ///
    /// # Errors
    /// Fails when it cannot be loaded.
    pub fn visit(&mut self, url: &str) -> anyhow::Result<()> {
        self.happened.clear();
        let went = self.call("Page.navigate", &json!({ "url": url }))?;
        ensure!(went["errorText"].is_null(), "{url}: {}", went["errorText"]);
        let deadline = Instant::now() + ANSWER;
        while !self
            .happened
            .iter()
            .any(|event| event["method"] == "Page.loadEventFired")
        {
            let event = self.next(deadline, url)?;
            self.happened.push(event);
        }
        Ok(())
    }

    /// The value of an expression in the page; that of a promise is awaited.
    ///
    /// # Errors
    /// What the expression throws.
    pub fn evaluate(&mut self, expression: &str) -> anyhow::Result<Value> {
        let params = json!({ "expression": expression, "awaitPromise": true, "returnByValue": true });
        let mut result = self.call("Runtime.evaluate", &params)?;
        if !result["exceptionDetails"].is_null() {
            bail!("{expression}: {}", result["exceptionDetails"]);
        }
        Ok(result["result"]["value"].take())
    }

    /// Says yes to the question that the page is asking.
    ///
    /// # Errors
    /// When it asks none.
    pub fn say_yes(&mut self) -> anyhow::Result<()> {
        let yes = json!({ "accept": true });
        self.call("Page.handleJavaScriptDialog", &yes).map(drop)
    }

    /// What went wrong since the visit began: exceptions, complaints to the console, what the security policy forbade,
    /// and what could not be loaded.
    #[must_use]
    pub fn errors(&self) -> Vec<String> {
        self.happened.iter().filter_map(error).collect()
    }

    /// Bytes that were received since the visit began, with their headers.
    #[must_use]
    pub fn received(&self) -> u64 {
        let finished = self
            .happened
            .iter()
            .filter(|event| event["method"] == "Network.loadingFinished");
        let sizes = finished.filter_map(|event| event["params"]["encodedDataLength"].as_f64());
        sizes.sum::<f64>() as u64
    }

    /// Writes a picture of the whole page to a file, as PNG.
    ///
    /// # Errors
    /// As [`Browser::call`], and when it cannot be written.
    pub fn picture(&mut self, file: &Path) -> anyhow::Result<()> {
        let params = json!({ "format": "png", "captureBeyondViewport": true });
        let shot = self.call("Page.captureScreenshot", &params)?;
        let bytes = BASE64_STANDARD.decode(shot["data"].as_str().unwrap_or_default())?;
        fs::write(file, bytes).with_context(|| format!("cannot write {}", file.display()))
    }
}

impl Drop for Browser {
    fn drop(&mut self) {
        // It ends with its pipe; what does not is ended by its keeper.
        let deadline = Instant::now() + Duration::from_secs(5);
        let _ = self.call("Browser.close", &json!({}));
        while Instant::now() < deadline {
            if matches!(self.child.try_wait(), Ok(Some(_)) | Err(_)) {
                return;
            }
            thread::sleep(Duration::from_millis(50));
        }
        if let Some(group) = rustix::process::Pid::from_raw(self.child.id().cast_signed()) {
            let _ = rustix::process::kill_process_group(group, rustix::process::Signal::KILL);
        }
        let _ = self.child.wait();
    }
}

/// Reads messages in a thread, which ends with the browser.
fn reader(answers: ChildStdout) -> Receiver<Value> {
    let (sender, receiver) = channel();
    thread::spawn(move || {
        for message in BufReader::new(answers).split(0).map_while(Result::ok) {
            let Ok(message) = serde_json::from_slice(&message) else {
                return;
            };
            if sender.send(message).is_err() {
                return;
            }
        }
    });
    receiver
}

/// The complaint in an event, if it is one.
fn error(event: &Value) -> Option<String> {
    let params = &event["params"];
    let wrong = match event["method"].as_str()? {
        "Runtime.exceptionThrown" => true,
        "Runtime.consoleAPICalled" => ["error", "warning", "assert"]
            .iter()
            .any(|kind| params["type"] == *kind),
        "Log.entryAdded" => ["error", "warning"]
            .iter()
            .any(|level| params["entry"]["level"] == *level),
        "Network.loadingFailed" => params["canceled"] != true,
        "Network.responseReceived" => params["response"]["status"]
            .as_u64()
            .is_some_and(|status| status >= 400),
        _ => false,
    };
    wrong.then(|| event.to_string())
}

/// The script of axe-core, which looks for what keeps people from using a page. npm fetches it, once.
///
/// # Errors
/// Fails when npm is missing or cannot fetch it.
pub fn axe() -> anyhow::Result<String> {
    let dir = workspace::target().join(format!("axe-core-{AXE}"));
    let script = dir.join("package/axe.min.js");
    if !script.is_file() {
        fs::create_dir_all(&dir)?;
        let npm = workspace::on_path("npm").context("npm is not on PATH: install it, it fetches axe-core")?;
        let package = format!("axe-core@{AXE}");
        run(Command::new(npm)
            .args(["pack", "--silent", &package])
            .current_dir(&dir))?;
        let archive = format!("axe-core-{AXE}.tgz");
        run(Command::new("tar").args(["-xzf", &archive]).current_dir(&dir))?;
    }
    fs::read_to_string(&script).with_context(|| format!("no {}", script.display()))
}

fn run(command: &mut Command) -> anyhow::Result<()> {
    let output = command
        .output()
        .with_context(|| format!("cannot start {command:?}"))?;
    let said = String::from_utf8_lossy(&output.stderr);
    ensure!(output.status.success(), "{command:?}: {said}");
    Ok(())
}
