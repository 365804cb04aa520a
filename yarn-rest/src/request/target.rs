//! The request target: path segments and query of a call, percent-encoded.

use std::fmt::{Display, Write as _};

/// A path and query under construction. Everything given as a value is percent-encoded, so that a
/// queue named `a/b?c` cannot change which resource is asked for.
#[derive(Debug, Clone)]
pub(crate) struct Target {
    text: String,
    has_query: bool,
}

impl Target {
    /// Starts at `root`, a literal path such as `/ws/v1/cluster`.
    pub(crate) fn new(root: &'static str) -> Self {
        Self {
            text: root.to_owned(),
            has_query: false,
        }
    }

    /// Adds a literal part such as `/apps`.
    pub(crate) fn literal(mut self, part: &'static str) -> Self {
        self.text.push_str(part);
        self
    }

    /// Adds one path segment that holds `value`.
    pub(crate) fn segment(mut self, value: impl Display) -> Self {
        self.text.push('/');
        encode(&value.to_string(), &mut self.text);
        self
    }

    /// Adds a query parameter.
    pub(crate) fn query(mut self, name: &str, value: impl Display) -> Self {
        self.text.push(if self.has_query { '&' } else { '?' });
        self.has_query = true;
        encode(name, &mut self.text);
        self.text.push('=');
        encode(&value.to_string(), &mut self.text);
        self
    }

    /// Adds a query parameter if there is a value.
    pub(crate) fn query_some(self, name: &str, value: Option<impl Display>) -> Self {
        match value {
            Some(value) => self.query(name, value),
            None => self,
        }
    }

    /// Adds a query parameter with the values joined by commas, if there are any.
    pub(crate) fn query_list<T: Display>(self, name: &str, values: &[T]) -> Self {
        if values.is_empty() {
            return self;
        }
        let texts: Vec<String> = values.iter().map(T::to_string).collect();
        self.query(name, texts.join(","))
    }

    /// The finished path and query.
    pub(crate) fn into_text(self) -> String {
        self.text
    }
}

/// `value` as one segment of a path or one value of a query, percent-encoded: for requests that this crate has no
/// builder for.
#[must_use]
pub fn percent_encoded(value: &str) -> String {
    let mut text = String::new();
    encode(value, &mut text);
    text
}

/// Appends `value` with everything but RFC 3986 unreserved bytes and the comma percent-encoded.
/// The comma separates list values and stands for itself in every place where YARN reads it.
fn encode(value: &str, into: &mut String) {
    for byte in value.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~,".contains(&byte) {
            into.push(char::from(byte));
        } else {
            write!(into, "%{byte:02X}").expect("writing to a String does not fail");
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::{any, prop_assert, prop_assert_eq, proptest};

    use super::{Target, encode};

    fn decode(text: &str) -> String {
        let mut bytes = Vec::new();
        let mut rest = text.bytes();
        while let Some(byte) = rest.next() {
            if byte == b'%' {
                let hex = [rest.next().unwrap(), rest.next().unwrap()];
                bytes.push(u8::from_str_radix(std::str::from_utf8(&hex).unwrap(), 16).unwrap());
            } else {
                bytes.push(byte);
            }
        }
        String::from_utf8(bytes).unwrap()
    }

    proptest! {
        #[test]
        fn encoded_values_decode_to_themselves_and_stay_one_segment(value in any::<String>()) {
            let mut text = String::new();
            encode(&value, &mut text);
            prop_assert!(!text.contains(['/', '?', '&', '#', ' ', '+']));
            prop_assert_eq!(decode(&text), value);
        }
    }

    #[test]
    fn the_first_parameter_starts_the_query_and_empty_ones_are_left_out() {
        let target = Target::new("/ws")
            .literal("/apps")
            .segment("a b")
            .query_some("x", None::<u8>)
            .query_list::<u8>("y", &[])
            .query("z", 1)
            .query_list("w", &[1, 2]);
        assert_eq!(target.into_text(), "/ws/apps/a%20b?z=1&w=1,2");
    }
}
