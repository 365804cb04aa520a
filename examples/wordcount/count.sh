#!/bin/bash
# Words of standard input with their counts: WORD<TAB>COUNT, in the order of the words.
set -euo pipefail
tr -cs '[:alnum:]' '\n' | awk 'NF { count[$0]++ } END { for (word in count) print word "\t" count[word] }' | sort
