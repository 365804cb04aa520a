//! Reading JSON as different releases write it.
//!
//! The same value comes as a number or as a string, a list of one as an object or as an array, an empty
//! list as `{}`, `null`, `""` or not at all, one key several times in one object, and a root key is there
//! or not. All of it is met here once, so that the models say only what the values mean.

use std::collections::BTreeMap;
use std::fmt;
use std::marker::PhantomData;
use std::str::FromStr;

use serde::de::value::MapAccessDeserializer;
use serde::de::{DeserializeSeed, Error, IgnoredAny, IntoDeserializer, MapAccess, SeqAccess, Visitor};
use serde::{Deserialize, Deserializer};

/// One value that is neither a list nor an object.
enum Scalar {
    Nothing,
    Bool(bool),
    Integer(i64),
    Float(f64),
    Text(String),
}

struct ScalarVisitor;

impl Visitor<'_> for ScalarVisitor {
    type Value = Scalar;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a number, a text or a truth value")
    }

    fn visit_unit<E>(self) -> Result<Scalar, E> {
        Ok(Scalar::Nothing)
    }

    fn visit_bool<E>(self, value: bool) -> Result<Scalar, E> {
        Ok(Scalar::Bool(value))
    }

    fn visit_i64<E>(self, value: i64) -> Result<Scalar, E> {
        Ok(Scalar::Integer(value))
    }

    fn visit_u64<E>(self, value: u64) -> Result<Scalar, E> {
        Ok(Scalar::Integer(i64::try_from(value).unwrap_or(i64::MAX)))
    }

    fn visit_f64<E>(self, value: f64) -> Result<Scalar, E> {
        Ok(Scalar::Float(value))
    }

    fn visit_str<E>(self, value: &str) -> Result<Scalar, E> {
        Ok(Scalar::Text(value.to_owned()))
    }

    fn visit_string<E>(self, value: String) -> Result<Scalar, E> {
        Ok(Scalar::Text(value))
    }
}

impl Scalar {
    fn read<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(ScalarVisitor)
    }

    /// The number, or none where Java has written an absent value.
    fn float<E: Error>(self) -> Result<Option<f64>, E> {
        match self {
            Self::Nothing | Self::Bool(_) => Ok(None),
            Self::Integer(value) => Ok(Some(as_float(value))),
            Self::Float(value) => Ok(Some(value)),
            Self::Text(text) => number_in(&text),
        }
    }

    fn integer<E: Error>(self) -> Result<Option<i64>, E> {
        match self {
            Self::Nothing | Self::Bool(_) => Ok(None),
            Self::Integer(value) => Ok(Some(value)),
            Self::Float(value) => Ok(Some(as_integer(value))),
            Self::Text(text) => number_in(&text),
        }
    }

    fn text(self) -> Option<String> {
        let text = match self {
            Self::Nothing => return None,
            Self::Bool(value) => value.to_string(),
            Self::Integer(value) => value.to_string(),
            Self::Float(value) => value.to_string(),
            Self::Text(text) => text,
        };
        Some(text).filter(|text| !is_absent(text))
    }
}

/// How Java writes a value that is not there.
fn is_absent(text: &str) -> bool {
    matches!(text, "" | "N/A" | "null")
}

fn number_in<T: FromStr, E: Error>(text: &str) -> Result<Option<T>, E> {
    if is_absent(text) {
        return Ok(None);
    }
    let parsed = text.trim().parse().map(Some);
    parsed.map_err(|_| E::custom(format_args!("`{text}` where a number should be")))
}

/// For percentages and shares, where nobody needs the 54th bit.
fn as_float(value: i64) -> f64 {
    value as f64
}

/// For counts written with `.0`; the cast saturates.
fn as_integer(value: f64) -> i64 {
    value as i64
}

/// A whole number written as number or text; 0 if it is absent or does not fit.
pub(crate) fn number<'de, D, T>(deserializer: D) -> Result<T, D::Error>
where
    D: Deserializer<'de>,
    T: TryFrom<i64> + Default,
{
    let value = Scalar::read(deserializer)?.integer()?;
    Ok(value
        .and_then(|value| T::try_from(value).ok())
        .unwrap_or_default())
}

/// A whole number that is none while it is absent or negative: YARN writes -1 for "no longer known".
pub(crate) fn some_number<'de, D, T>(deserializer: D) -> Result<Option<T>, D::Error>
where
    D: Deserializer<'de>,
    T: TryFrom<i64>,
{
    let value = Scalar::read(deserializer)?.integer()?;
    Ok(value
        .filter(|value| *value >= 0)
        .and_then(|value| T::try_from(value).ok()))
}

/// A whole number of either sign, none while it is absent.
pub(crate) fn some_signed<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<i32>, D::Error> {
    let value = Scalar::read(deserializer)?.integer()?;
    Ok(value.and_then(|value| i32::try_from(value).ok()))
}

/// A number with a fraction; 0 if absent.
pub(crate) fn float<'de, D: Deserializer<'de>>(deserializer: D) -> Result<f64, D::Error> {
    Ok(Scalar::read(deserializer)?.float()?.unwrap_or_default())
}

/// A text, empty if absent.
pub(crate) fn text<'de, D: Deserializer<'de>>(deserializer: D) -> Result<String, D::Error> {
    Ok(Scalar::read(deserializer)?.text().unwrap_or_default())
}

/// A text, none if absent, empty, `N/A` or `null`.
pub(crate) fn some_text<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<String>, D::Error> {
    Ok(Scalar::read(deserializer)?.text())
}

/// A truth value, false if absent.
pub(crate) fn flag<'de, D: Deserializer<'de>>(deserializer: D) -> Result<bool, D::Error> {
    Ok(match Scalar::read(deserializer)? {
        Scalar::Bool(value) => value,
        Scalar::Text(text) => text.eq_ignore_ascii_case("true"),
        Scalar::Nothing | Scalar::Integer(_) | Scalar::Float(_) => false,
    })
}

/// A text that has a type of its own.
pub(crate) fn parsed<'de, D, T>(deserializer: D) -> Result<T, D::Error>
where
    D: Deserializer<'de>,
    T: FromStr<Err: fmt::Display>,
{
    let text = Scalar::read(deserializer)?.text().unwrap_or_default();
    text.parse().map_err(D::Error::custom)
}

/// The same, none if absent.
pub(crate) fn some_parsed<'de, D, T>(deserializer: D) -> Result<Option<T>, D::Error>
where
    D: Deserializer<'de>,
    T: FromStr<Err: fmt::Display>,
{
    let text = Scalar::read(deserializer)?.text();
    text.map(|text| text.parse().map_err(D::Error::custom))
        .transpose()
}

/// A list written as one text with commas.
pub(crate) fn names<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<String>, D::Error> {
    let text = Scalar::read(deserializer)?.text().unwrap_or_default();
    Ok(text
        .split(',')
        .map(str::trim)
        .filter(|name| !name.is_empty())
        .map(str::to_owned)
        .collect())
}

/// A list: an array, one element without its array, or nothing.
pub(crate) fn list<'de, D, T>(deserializer: D) -> Result<Vec<T>, D::Error>
where
    D: Deserializer<'de>,
    T: Deserialize<'de>,
{
    ListAt::new(&[]).deserialize(deserializer)
}

/// A list below the keys `path`, as in `{"queue": […]}`.
pub(crate) fn list_at<'de, D, T>(deserializer: D, path: &'static [&'static str]) -> Result<Vec<T>, D::Error>
where
    D: Deserializer<'de>,
    T: Deserialize<'de>,
{
    ListAt::new(path).deserialize(deserializer)
}

/// A list of texts, under any of the forms of [`list`].
pub(crate) fn texts<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<String>, D::Error> {
    struct Texts;

    impl<'de> Visitor<'de> for Texts {
        type Value = Vec<String>;

        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("a text or a list of texts")
        }

        fn visit_unit<E>(self) -> Result<Self::Value, E> {
            Ok(Vec::new())
        }

        fn visit_str<E>(self, value: &str) -> Result<Self::Value, E> {
            Ok(Some(value)
                .filter(|text| !is_absent(text))
                .map(str::to_owned)
                .into_iter()
                .collect())
        }

        fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Self::Value, A::Error> {
            let mut texts = Vec::new();
            while let Some(text) = seq.next_element()? {
                texts.push(text);
            }
            Ok(texts)
        }

        fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Self::Value, A::Error> {
            IgnoredAny.visit_map(map)?;
            Ok(Vec::new())
        }
    }

    deserializer.deserialize_any(Texts)
}

/// Amounts by name: `{"entry": {…}, "entry": {…}}` with the key repeated (3.3, 3.4), `{"entry": […]}`
/// (3.5), or a plain object.
pub(crate) fn amounts<'de, D: Deserializer<'de>>(deserializer: D) -> Result<BTreeMap<String, i64>, D::Error> {
    struct Amounts;

    #[derive(Deserialize)]
    struct Entry {
        #[serde(deserialize_with = "text")]
        key: String,
        #[serde(default, deserialize_with = "number")]
        value: i64,
    }

    impl<'de> Visitor<'de> for Amounts {
        type Value = BTreeMap<String, i64>;

        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("an object of amounts")
        }

        fn visit_unit<E>(self) -> Result<Self::Value, E> {
            Ok(BTreeMap::new())
        }

        fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
            let mut amounts = BTreeMap::new();
            while let Some(name) = map.next_key::<String>()? {
                if name == "entry" {
                    let entries: Vec<Entry> = map.next_value_seed(ListAt::new(&[]))?;
                    amounts.extend(entries.into_iter().map(|entry| (entry.key, entry.value)));
                } else {
                    amounts.insert(name, map.next_value_seed(NumberSeed)?);
                }
            }
            Ok(amounts)
        }
    }

    deserializer.deserialize_any(Amounts)
}

struct NumberSeed;

impl<'de> DeserializeSeed<'de> for NumberSeed {
    type Value = i64;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<i64, D::Error> {
        number(deserializer)
    }
}

/// Finds a list below a path of keys. Every key on the way may be missing, null or repeated.
struct ListAt<'k, T> {
    path: &'k [&'k str],
    element: PhantomData<T>,
}

impl<'k, T> ListAt<'k, T> {
    fn new(path: &'k [&'k str]) -> Self {
        Self {
            path,
            element: PhantomData,
        }
    }
}

impl<'de, T: Deserialize<'de>> DeserializeSeed<'de> for ListAt<'_, T> {
    type Value = Vec<T>;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Vec<T>, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de, T: Deserialize<'de>> Visitor<'de> for ListAt<'_, T> {
    type Value = Vec<T>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a list, or one of its elements")
    }

    fn visit_unit<E>(self) -> Result<Vec<T>, E> {
        Ok(Vec::new())
    }

    fn visit_str<E: Error>(self, value: &str) -> Result<Vec<T>, E> {
        if is_absent(value) {
            return Ok(Vec::new());
        }
        Err(E::invalid_type(serde::de::Unexpected::Str(value), &self))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Vec<T>, A::Error> {
        let mut list = Vec::new();
        if self.path.is_empty() {
            while let Some(element) = seq.next_element()? {
                list.push(element);
            }
        } else {
            while let Some(part) = seq.next_element_seed(ListAt::new(self.path))? {
                list.extend(part);
            }
        }
        Ok(list)
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Vec<T>, A::Error> {
        let Some((key, rest)) = self.path.split_first() else {
            return lone_element(map);
        };
        let mut list = Vec::new();
        while let Some(name) = map.next_key::<String>()? {
            if name == *key {
                list.extend(map.next_value_seed(ListAt::new(rest))?);
            } else {
                map.next_value::<IgnoredAny>()?;
            }
        }
        Ok(list)
    }
}

/// `{}` is the empty list, any other object its only element.
fn lone_element<'de, A: MapAccess<'de>, T: Deserialize<'de>>(mut map: A) -> Result<Vec<T>, A::Error> {
    match map.next_key::<String>()? {
        None => Ok(Vec::new()),
        Some(first) => Ok(vec![T::deserialize(Replayed::whole(first, map))?]),
    }
}

/// An object whose first key has been looked at already.
struct Replayed<A> {
    first: Option<String>,
    rest: A,
}

impl<'de, A: MapAccess<'de>> Replayed<A> {
    fn whole(first: String, rest: A) -> MapAccessDeserializer<Self> {
        MapAccessDeserializer::new(Self {
            first: Some(first),
            rest,
        })
    }
}

impl<'de, A: MapAccess<'de>> MapAccess<'de> for Replayed<A> {
    type Error = A::Error;

    fn next_key_seed<K: DeserializeSeed<'de>>(&mut self, seed: K) -> Result<Option<K::Value>, A::Error> {
        match self.first.take() {
            Some(first) => seed.deserialize(first.into_deserializer()).map(Some),
            None => self.rest.next_key_seed(seed),
        }
    }

    fn next_value_seed<V: DeserializeSeed<'de>>(&mut self, seed: V) -> Result<V::Value, A::Error> {
        self.rest.next_value_seed(seed)
    }
}

/// One object, with or without the root key `root`.
struct MaybeRooted<'k, T> {
    root: &'k str,
    object: PhantomData<T>,
}

impl<'de, T: Deserialize<'de>> DeserializeSeed<'de> for MaybeRooted<'_, T> {
    type Value = T;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<T, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de, T: Deserialize<'de>> Visitor<'de> for MaybeRooted<'_, T> {
    type Value = T;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "an object, with or without the root key `{}`", self.root)
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<T, A::Error> {
        match map.next_key::<String>()? {
            None => Err(A::Error::custom("an empty object")),
            Some(first) if first == self.root => {
                let object = map.next_value()?;
                while map.next_entry::<IgnoredAny, IgnoredAny>()?.is_some() {}
                Ok(object)
            }
            Some(first) => T::deserialize(Replayed::whole(first, map)),
        }
    }
}

/// Reads a body that holds a list below `path`.
pub(crate) fn body_list<T: for<'de> Deserialize<'de>>(
    body: &[u8],
    path: &[&str],
) -> serde_json::Result<Vec<T>> {
    let mut json = serde_json::Deserializer::from_slice(body);
    let list = ListAt::new(path).deserialize(&mut json)?;
    json.end()?;
    Ok(list)
}

/// Reads a body that holds one object, with or without the root key `root`.
pub(crate) fn body_object<T: for<'de> Deserialize<'de>>(body: &[u8], root: &str) -> serde_json::Result<T> {
    let mut json = serde_json::Deserializer::from_slice(body);
    let object = MaybeRooted {
        root,
        object: PhantomData,
    }
    .deserialize(&mut json)?;
    json.end()?;
    Ok(object)
}

#[cfg(test)]
mod tests;
