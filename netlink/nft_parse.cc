// SPDX-License-Identifier: Apache-2.0
#include "netlink/nft_parse.h"

#include <arpa/inet.h>
#include <linux/netfilter/nfnetlink.h>

#include "netlink/attr_reader.h"

namespace cvlan::netlink::nft {

namespace {

constexpr uint8_t kUserdataComment = 0;  // libnftnl, udata.h: the same for all kinds of object
// The longest that fits the clock's arithmetic; the kernel's own limit is less.
constexpr uint64_t kMostMilliseconds = uint64_t{1} << 53;

uint32_t read_u32(AttrReader& attrs) {
    uint32_t value = 0;
    attrs.read(value);
    return ntohl(value);
}

uint64_t read_u64(AttrReader& attrs) {
    uint64_t value = 0;
    attrs.read(value);
    return be64toh(value);
}

void read_milliseconds(AttrReader& attrs, std::optional<std::chrono::milliseconds>& out) {
    const uint64_t value = read_u64(attrs);
    if (value > kMostMilliseconds) {
        attrs.fault("time out of range");
        return;
    }
    out = std::chrono::milliseconds(value);
}

// A list of type, length, value, one byte each but the value.
std::string comment_of(ByteView userdata) {
    while (userdata.size() >= 2) {
        const uint8_t type = userdata[0];
        const size_t size = userdata[1];
        userdata = userdata.subspan(2);
        if (size > userdata.size()) break;
        const std::string_view text = as_text(userdata.first(size));
        if (type == kUserdataComment) {
            const bool is_text = !text.empty() && text.find('\0') == text.size() - 1;
            return is_text ? printable(text.substr(0, text.size() - 1)) : std::string();
        }
        userdata = userdata.subspan(size);
    }
    return {};
}

void read_bytes(AttrReader& data, Bytes& out) {
    while (data.next())
        if (data.type() == NFTA_DATA_VALUE)
            out.assign(data.payload().begin(), data.payload().end());
}

void read_verdict(AttrReader& attrs, Verdict& verdict) {
    while (attrs.next()) {
        switch (attrs.type()) {
            case NFTA_VERDICT_CODE:
                verdict.code = static_cast<int32_t>(read_u32(attrs));
                break;
            case NFTA_VERDICT_CHAIN:
                attrs.read(verdict.chain);
                break;
        }
    }
}

void read_value(AttrReader& data, Element& element) {
    while (data.next()) {
        switch (data.type()) {
            case NFTA_DATA_VALUE:
                element.value = Bytes(data.payload().begin(), data.payload().end());
                break;
            case NFTA_DATA_VERDICT: {
                Verdict verdict;
                data.walk_nested([&](AttrReader& inner) { read_verdict(inner, verdict); });
                element.value = std::move(verdict);
                break;
            }
        }
    }
}

void read_counts(AttrReader& attrs, Counter& counter) {
    while (attrs.next()) {
        switch (attrs.type()) {
            case NFTA_COUNTER_BYTES:
                counter.bytes = read_u64(attrs);
                break;
            case NFTA_COUNTER_PACKETS:
                counter.packets = read_u64(attrs);
                break;
        }
    }
}

// Of the expressions that an element or a rule may have, we read the counter.
void read_expression(AttrReader& attrs, std::optional<Counter>& counter) {
    std::string name;
    while (attrs.next()) {
        switch (attrs.type()) {
            case NFTA_EXPR_NAME:
                attrs.read(name);
                break;
            case NFTA_EXPR_DATA:  // behind the name, as the kernel writes them
                if (name != "counter") break;
                counter.emplace();
                attrs.walk_nested([&](AttrReader& inner) { read_counts(inner, *counter); });
                break;
        }
    }
}

void read_expressions(AttrReader& list, Rule& rule) {
    while (list.next())
        list.walk_nested([&](AttrReader& one) { read_expression(one, rule.counted); });
}

void read_element(AttrReader& attrs, Element& element) {
    while (attrs.next()) {
        switch (attrs.type()) {
            case NFTA_SET_ELEM_KEY:
                attrs.walk_nested([&](AttrReader& data) { read_bytes(data, element.key); });
                break;
            case NFTA_SET_ELEM_DATA:
                attrs.walk_nested([&](AttrReader& data) { read_value(data, element); });
                break;
            case NFTA_SET_ELEM_TIMEOUT:
                read_milliseconds(attrs, element.timeout);
                break;
            case NFTA_SET_ELEM_EXPIRATION:
                read_milliseconds(attrs, element.expires_in);
                break;
            case NFTA_SET_ELEM_USERDATA:
                element.comment = comment_of(attrs.payload());
                break;
            case NFTA_SET_ELEM_EXPR:
                attrs.walk_nested(
                    [&](AttrReader& inner) { read_expression(inner, element.counter); });
                break;
        }
    }
}

}  // namespace

Result<Table> parse_table(ByteView payload) {
    nfgenmsg head{};
    auto attrs = after_header(payload, head);
    if (!attrs) return failed(attrs.error());
    Table table;
    while (attrs->next()) {
        switch (attrs->type()) {
            case NFTA_TABLE_NAME:
                attrs->read(table.name);
                break;
            case NFTA_TABLE_USERDATA:
                table.comment = comment_of(attrs->payload());
                break;
        }
    }
    if (attrs->error()) return failed(*attrs->error());
    return table;
}

Result<Rule> parse_rule(ByteView payload) {
    nfgenmsg head{};
    auto attrs = after_header(payload, head);
    if (!attrs) return failed(attrs.error());
    Rule rule;
    while (attrs->next()) {
        switch (attrs->type()) {
            case NFTA_RULE_CHAIN:
                attrs->read(rule.chain);
                break;
            case NFTA_RULE_USERDATA:
                rule.comment = comment_of(attrs->payload());
                break;
            case NFTA_RULE_EXPRESSIONS:
                attrs->walk_nested([&](AttrReader& list) { read_expressions(list, rule); });
                break;
        }
    }
    if (attrs->error()) return failed(*attrs->error());
    return rule;
}

Result<void> parse_elements(ByteView payload, std::vector<Element>& elements) {
    nfgenmsg head{};
    auto attrs = after_header(payload, head);
    if (!attrs) return failed(attrs.error());
    while (attrs->next()) {
        if (attrs->type() != NFTA_SET_ELEM_LIST_ELEMENTS) continue;
        attrs->walk_nested([&](AttrReader& list) {
            while (list.next()) {
                Element element;
                list.walk_nested([&](AttrReader& inner) { read_element(inner, element); });
                if (list.error()) return;
                if (element.key.empty()) {
                    list.fault("element without a key");
                    return;
                }
                elements.push_back(std::move(element));
            }
        });
    }
    if (attrs->error()) return failed(*attrs->error());
    return {};
}

}  // namespace cvlan::netlink::nft
