//! The words of a daemon, out of whatever it wrapped them in.

use std::fmt;

use serde::Deserialize;

use crate::lenient;

/// What a daemon said went wrong.
///
/// It comes as `{"RemoteException": {…}}`, as the same in XML (whatever the request accepted), as plain
/// text, or as an HTML error page of the web server. Shown, it is the message in quotes.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct RemoteException {
    /// Simple name of the Java exception, for example `NotFoundException`; empty if none was named.
    #[serde(deserialize_with = "lenient::text")]
    pub exception: String,
    /// What it says, without the `java.lang.Exception: ` that 3.3 and 3.4 put in front.
    #[serde(deserialize_with = "lenient::text")]
    pub message: String,
    /// Full name of the Java class.
    #[serde(deserialize_with = "lenient::text")]
    pub java_class_name: String,
}

/// What a refusal for want of rights begins with.
const DENIED: &str = "org.apache.hadoop.security.AccessControlException";

/// More of an answer without any form is not worth showing.
const LONGEST: usize = 500;

impl RemoteException {
    /// Reads the body of an answer that is not a success.
    pub fn parse(body: &[u8]) -> Self {
        let text = String::from_utf8_lossy(body);
        let found = Self::from_json(body)
            .or_else(|| Self::from_xml(&text))
            .or_else(|| Self::from_html(&text));
        let mut words = found.unwrap_or_else(|| Self::bare(&text));
        words.message = without_prefix(&words.message);
        if let Some(message) = words.message.strip_prefix(DENIED) {
            words.message = message.trim_start_matches(": ").to_owned();
            "AccessControlException".clone_into(&mut words.exception);
        }
        words
    }

    /// Is it the scheduler's word that the user may not do this? It comes with status 400
    /// (`RMWebServices.submitApplication` rethrows it as `BadRequestException`).
    pub(crate) fn is_denied(&self) -> bool {
        self.exception == "AccessControlException"
    }

    /// Is it the ResourceManager's word that submission over REST is off?
    pub(crate) fn is_submission_disabled(&self) -> bool {
        self.message.contains("App submission via REST is disabled")
    }

    /// Does the exception mean "not now" rather than "not so"?
    pub(crate) fn is_transient(&self) -> bool {
        let names = [
            "StandbyException",
            "RetriableException",
            "ServiceUnavailable",
            "ConnectException",
        ];
        names
            .iter()
            .any(|name| self.exception == *name || self.java_class_name.ends_with(name))
    }

    fn bare(text: &str) -> Self {
        let message = text.trim().chars().take(LONGEST).collect();
        Self {
            message,
            ..Self::default()
        }
    }

    fn from_json(body: &[u8]) -> Option<Self> {
        let words: Self = lenient::body_object(body, "RemoteException").ok()?;
        Some(words).filter(|words| *words != Self::default())
    }

    fn from_xml(text: &str) -> Option<Self> {
        let inner = element(text, "RemoteException")?;
        let part = |name| element(inner, name).map(unescape).unwrap_or_default();
        Some(Self {
            exception: part("exception"),
            message: part("message"),
            java_class_name: part("javaClassName"),
        })
    }

    /// Jetty's error page: "HTTP ERROR 404 …" with the reason in a table row, or at least a title.
    fn from_html(text: &str) -> Option<Self> {
        let row = text
            .find("MESSAGE:</th>")
            .and_then(|at| element(&text[at..], "td"));
        let title = element(text, "title")?;
        Some(Self::bare(&unescape(row.unwrap_or(title))))
    }
}

/// What lies between `<name>` and `</name>`.
fn element<'a>(text: &'a str, name: &str) -> Option<&'a str> {
    let (_, after) = text.split_once(&format!("<{name}>"))?;
    let (inside, _) = after.split_once(&format!("</{name}>"))?;
    Some(inside)
}

fn unescape(text: &str) -> String {
    let entities = [
        ("&lt;", "<"),
        ("&gt;", ">"),
        ("&quot;", "\""),
        ("&apos;", "'"),
        ("&#39;", "'"),
        ("&amp;", "&"),
    ];
    let unescape_one = |text: String, (entity, plain): &(&str, &str)| text.replace(entity, plain);
    entities.iter().fold(text.trim().to_owned(), unescape_one)
}

fn without_prefix(message: &str) -> String {
    let message = message.trim();
    message
        .strip_prefix("java.lang.Exception: ")
        .unwrap_or(message)
        .to_owned()
}

impl fmt::Display for RemoteException {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self.message.as_str(), self.exception.as_str()) {
            ("", "") => f.write_str("no reason given"),
            ("", exception) => write!(f, "{exception} without a message"),
            (message, _) => write!(f, "`{message}`"),
        }
    }
}
