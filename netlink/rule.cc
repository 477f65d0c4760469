// SPDX-License-Identifier: Apache-2.0
#include "netlink/rule.h"

#include <linux/fib_rules.h>
#include <linux/rtnetlink.h>

#include <algorithm>

#include "netlink/attr_reader.h"

// Rules are built and parsed here and not with libnl-route: rtnl_rule of libnl 3.7 knows neither
// FIB_RULE_INVERT nor the selectors that came after 2012, so it can not make our rule and would
// show a foreign one with such a selector as if it were one of ours.
namespace cvlan::netlink {

namespace {

constexpr uint32_t kNoSuppression = 0xffffffff;

Message rule_request(uint16_t type, uint16_t flags, const Rule& rule) {
    Message message(type, flags);
    fib_rule_hdr head{};
    head.family = rule.family == Family::V4 ? AF_INET : AF_INET6;
    head.action = FR_ACT_TO_TBL;
    head.flags = rule.is_inverted ? FIB_RULE_INVERT : 0;
    message.put_header(head);
    message.put(FRA_PRIORITY, rule.priority);
    message.put(FRA_TABLE, rule.table);
    if (rule.fwmark != 0 || rule.fwmask != 0) {
        message.put(FRA_FWMARK, rule.fwmark);
        message.put(FRA_FWMASK, rule.fwmask);
    }
    if (rule.protocol != 0) message.put(FRA_PROTOCOL, rule.protocol);
    return message;
}

std::string doing(std::string_view verb, const Rule& rule) {
    return fmt::format("{} rule {} to table {}", verb, rule.priority, rule.table);
}

// net/core/fib_rules.c: the kernel looks for the rule to delete by these alone.
bool looks_alike(const Rule& a, const Rule& b) {
    return a.priority == b.priority && a.table == b.table && a.fwmark == b.fwmark &&
           a.fwmask == b.fwmask;
}

void read_selector(AttrReader& attrs, Rule& rule) {
    uint32_t suppressed = kNoSuppression;
    switch (attrs.type()) {
        case FRA_PAD:
            break;
        case FRA_PRIORITY:
            attrs.read(rule.priority);
            break;
        case FRA_TABLE:
            attrs.read(rule.table);
            break;
        case FRA_FWMARK:
            attrs.read(rule.fwmark);
            break;
        case FRA_FWMASK:
            attrs.read(rule.fwmask);
            break;
        case FRA_PROTOCOL:
            attrs.read(rule.protocol);
            break;
        case FRA_SUPPRESS_PREFIXLEN:
            attrs.read(suppressed);
            if (suppressed != kNoSuppression) rule.is_plain = false;
            break;
        default:
            rule.is_plain = false;
    }
}

}  // namespace

Result<Rule> parse_rule(const Reply& reply) {
    fib_rule_hdr head{};
    auto attrs = after_header(reply.payload, head);
    if (!attrs) return failed(attrs.error());
    if (head.family != AF_INET && head.family != AF_INET6)
        return fail(Code::Malformed, "rule of family {}", head.family);
    Rule rule;
    rule.family = head.family == AF_INET ? Family::V4 : Family::V6;
    rule.table = head.table;
    rule.is_inverted = (head.flags & FIB_RULE_INVERT) != 0;
    rule.is_plain = head.action == FR_ACT_TO_TBL && head.dst_len == 0 && head.src_len == 0 &&
                    head.tos == 0 && (head.flags & ~uint32_t{FIB_RULE_INVERT}) == 0;
    while (attrs->next()) read_selector(*attrs, rule);
    if (attrs->error()) return failed(*attrs->error());
    return rule;
}

namespace {

// Rules of other families than IP (multicast routing) come with those of all.
bool is_ip(const Reply& reply) {
    if (reply.payload.size() < sizeof(fib_rule_hdr)) return true;  // left to the parser
    const uint8_t family = reply.payload[offsetof(fib_rule_hdr, family)];
    return family == AF_INET || family == AF_INET6;
}

Result<std::vector<Rule>> list(Socket& socket, uint8_t family) {
    Message message(RTM_GETRULE, 0);
    fib_rule_hdr head{};
    head.family = family;
    message.put_header(head);
    std::vector<Rule> rules;
    auto done = socket.dump(
        message, [&] { rules.clear(); },
        [&](const Reply& reply) -> Result<void> {
            if (!is_ip(reply)) return {};
            auto rule = parse_rule(reply);
            if (!rule) return failed(rule.error());
            rules.push_back(*rule);
            return {};
        });
    if (!done) return failed(done.error().while_doing("list rules"));
    return rules;
}

}  // namespace

Result<std::vector<Rule>> list_rules(Socket& socket, Family family) {
    return list(socket, family == Family::V4 ? AF_INET : AF_INET6);
}

Result<std::vector<Rule>> list_rules(Socket& socket) { return list(socket, AF_UNSPEC); }

Result<void> add_rule(Socket& socket, const Rule& rule) {
    if (!rule.is_plain) return fail(Code::Invalid, "{}: not a plain rule", doing("add", rule));
    Message message = rule_request(RTM_NEWRULE, NLM_F_CREATE | NLM_F_EXCL, rule);
    auto done = socket.request(message);
    if (!done) return failed(done.error().while_doing(doing("add", rule)));
    return {};
}

Result<void> remove_rule(Socket& socket, const Rule& rule) {
    // The kernel would take the first that looks alike, be it someone else's.
    auto rules = list_rules(socket, rule.family);
    if (!rules) return failed(rules.error());
    const auto first = std::find_if(rules->begin(), rules->end(),
                                    [&](const Rule& other) { return looks_alike(other, rule); });
    if (first == rules->end())
        return fail(Code::NotFound, "{}: no such rule", doing("remove", rule));
    if (*first != rule)
        return fail(Code::Conflict, "{}: a foreign rule looks like it", doing("remove", rule));
    Message message = rule_request(RTM_DELRULE, 0, rule);
    auto done = socket.request(message);
    if (!done) return failed(done.error().while_doing(doing("remove", rule)));
    return {};
}

}  // namespace cvlan::netlink
