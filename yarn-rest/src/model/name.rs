//! Names from a fixed set that grows with the releases.

/// Defines an enum whose variants are names on the wire, with the name kept as text when it is not known.
macro_rules! names {
    (
        $(#[$doc:meta])*
        $kind:ident { $( $(#[$variant_doc:meta])* $variant:ident = $name:literal, )+ }
    ) => {
        $(#[$doc])*
        #[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
        #[non_exhaustive]
        pub enum $kind {
            $( $(#[$variant_doc])* $variant, )+
            /// A name this crate does not know.
            Other(String),
        }

        impl $kind {
            /// The name on the wire.
            pub fn as_str(&self) -> &str {
                match self {
                    $( Self::$variant => $name, )+
                    Self::Other(name) => name,
                }
            }
        }

        impl From<&str> for $kind {
            fn from(name: &str) -> Self {
                match name {
                    $( $name => Self::$variant, )+
                    other => Self::Other(other.to_owned()),
                }
            }
        }

        impl std::fmt::Display for $kind {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.pad(self.as_str())
            }
        }

        impl std::str::FromStr for $kind {
            type Err = std::convert::Infallible;

            fn from_str(name: &str) -> Result<Self, Self::Err> {
                Ok(Self::from(name))
            }
        }

        impl<'de> serde::Deserialize<'de> for $kind {
            fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                $crate::lenient::parsed(deserializer)
            }
        }

        impl serde::Serialize for $kind {
            fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.serialize_str(self.as_str())
            }
        }
    };
}

pub(crate) use names;

#[cfg(test)]
mod tests {
    use proptest::prelude::{prop_assert_eq, proptest};

    use crate::model::{AppState, NodeState};

    proptest! {
        #[test]
        fn every_name_survives_parsing_and_printing(name in "[A-Z_]{0,12}") {
            prop_assert_eq!(AppState::from(name.as_str()).to_string(), name);
        }
    }

    #[test]
    fn known_names_are_recognised_and_others_kept() {
        assert_eq!(AppState::from("NEW_SAVING"), AppState::NewSaving);
        assert_eq!(NodeState::from("SHINY"), NodeState::Other("SHINY".to_owned()));
    }
}
