#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# shellcheck disable=SC2016
# What integration/lab promises to whoever calls it. Boots four to six guests; prints a line a claim.
set -u
lab=$(dirname "$(readlink -f "$0")")/lab
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
export CVLAN_LAB_OUT=$work/out
failed=0
claim() { if [ "$2" = "$3" ]; then echo "ok   $1"; else echo "FAIL $1: want '$2', have '$3'"; failed=1; fi; }

mode=$("$lab" --which)
CVLAN_NOTE='it'\''s here' "$lab" -- bash -c 'echo one; echo "$CVLAN_NOTE: $1|$2"; echo two >&2; pwd
    echo result > "$CVLAN_LAB_OUT/result"; ip -br link show lo | cut -d" " -f1; exit 7' sh 'a b' "c'\"d" \
    > "$work/stdout" 2> "$work/stderr"
claim "exit status 7 is passed on ($mode)" 7 $?
claim "words with spaces and quotes arrive" "it's here: a b|c'\"d" "$(sed -n 2p "$work/stdout")"
claim "the working directory is the same" "$PWD" "$(sed -n 3p "$work/stdout")"
claim "stderr is stderr" two "$(tail -n 1 "$work/stderr")"
claim "results come out" result "$(cat "$work/out/result")"
claim "nothing else is left in the folder of results" result "$(ls -A "$work/out")"

SECONDS=0
"$lab" --timeout 20 -- sh -c 'for i in 1 2 3; do echo "$i"; sleep 1; done; sleep 60' 2> "$work/stderr" |
    while read -r word; do echo "$word $SECONDS"; done > "$work/lines"
claim "out of time is 124" 124 "${PIPESTATUS[0]}"
claim "and says so" 1 "$(grep -c 'out of time after 20 s' "$work/stderr")"
claim "output is live" yes "$(awk 'NR==1 {a=$2} NR==3 {print ($2 > a && $2 < 20) ? "yes" : "no"}' "$work/lines")"

claim "ten megabytes of output arrive" 10485760 "$("$lab" -- head -c 10485760 /dev/zero | wc -c)"
"$lab" -- /no/such/program 2> /dev/null
claim "a command that is not there is 127" 127 $?
"$lab" --nonsense true 2> /dev/null
claim "an unknown option is 2" 2 $?

if [ "${1:-}" = --systemd ]; then
    "$lab" --systemd -- bash -c 'systemctl is-active multi-user.target; echo "boot $CVLAN_LAB_BOOT"; cat /root/mark
        touch /root/mark; [ "$CVLAN_LAB_BOOT" = 2 ] || exit 194; exit 5' > "$work/stdout" 2> /dev/null
    claim "systemd: exit status of the second boot" 5 $?
    claim "systemd: both boots, multi-user" "active boot 1 active boot 2" "$(tr '\n' ' ' < "$work/stdout" | sed 's/ $//')"
fi
exit $failed
