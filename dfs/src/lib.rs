//! The narrow file-system interface (HDFS and local files) and job staging.
