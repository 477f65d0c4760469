// SPDX-License-Identifier: Apache-2.0
#pragma once

// Policy routing rules (rtnetlink RTM_*RULE) of the namespace of the Socket given.

#include <cstdint>
#include <vector>

#include "base/ip.h"
#include "netlink/socket.h"

namespace cvlan::netlink {

// A rule which looks into a table by mark. Rules select by much more: `is_plain` is false where the
// kernel's rule has a selector or an action that does not stand here, so that a foreign rule is
// never taken for one of ours.
struct Rule {
    Family family = Family::V4;
    uint32_t priority = 0;
    uint32_t table = 0;
    uint32_t fwmark = 0;
    uint32_t fwmask = 0;       // 0 with fwmark 0: does not look at the mark
    bool is_inverted = false;  // `ip rule add not …`
    uint8_t protocol = 0;      // who made it (FRA_PROTOCOL); kernel 4.17 and later
    bool is_plain = true;
    bool operator==(const Rule&) const = default;
};

Result<std::vector<Rule>> list_rules(Socket& socket, Family family);
// Of both families, in one dump.
Result<std::vector<Rule>> list_rules(Socket& socket);
// Code::Exists if the same rule is there. Only plain rules can be added.
Result<void> add_rule(Socket& socket, const Rule& rule);
// Removes the rule that agrees in every field. Code::NotFound if there is none.
Result<void> remove_rule(Socket& socket, const Rule& rule);

// One RTM_NEWRULE as a monitor or a dump brings it.
Result<Rule> parse_rule(const Reply& reply);

}  // namespace cvlan::netlink
