//! Client of the REST APIs of the YARN ResourceManager and NodeManager.
