#!/usr/bin/env bash
# Makes what every user of the cluster needs in HDFS. Run as the superuser, hadoop; may be run again.
set -euo pipefail

until hdfs dfsadmin -report -live 2>/dev/null | grep -q '^Live datanodes ([1-9]'; do
  sleep 1
done
hdfs dfsadmin -safemode wait
hdfs dfs -mkdir -p /tmp /user/hadoop /spark-history
hdfs dfs -chmod 1777 /tmp /user /spark-history
