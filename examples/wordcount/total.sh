#!/bin/bash
# Adds up the counts of each word, the most frequent first.
set -euo pipefail
awk -F '\t' '{ count[$1] += $2 } END { for (word in count) print word "\t" count[word] }' | sort -t $'\t' -k2,2nr -k1,1
