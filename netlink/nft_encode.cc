// SPDX-License-Identifier: Apache-2.0
#include "netlink/nft_encode.h"

#include <arpa/inet.h>
#include <linux/netfilter/nfnetlink.h>

#include <algorithm>
#include <utility>

namespace cvlan::netlink::nft {

namespace {

constexpr uint16_t command_type(uint16_t command) { return NFNL_SUBSYS_NFTABLES << 8 | command; }

Message batch_mark(uint16_t type) {
    Message message(type, 0);
    message.put_header(nfgenmsg{AF_UNSPEC, NFNETLINK_V0, htons(NFNL_SUBSYS_NFTABLES)});
    return message;
}

Message table_message(uint16_t command, uint16_t flags) {
    Message message(command_type(command), flags);
    message.put_header(nfgenmsg{NFPROTO_INET, NFNETLINK_V0, 0});
    return message;
}

void put_u32(Message& to, uint16_t type, uint32_t value) { to.put(type, htonl(value)); }
void put_u64(Message& to, uint16_t type, uint64_t value) { to.put(type, htobe64(value)); }

// The kernel's own form: the registers of 16 bytes where a word begins one (nft_dump_register()).
void put_word(Message& to, uint16_t type, Word word) {
    put_u32(to, type, word % 4 == 0 ? NFT_REG_1 + word / 4 : NFT_REG32_00 + word);
}

// nft's form of a comment (libnftnl, udata.h): type 0, length with the NUL, text.
void put_comment(Message& to, uint16_t type, std::string_view comment) {
    if (comment.empty()) return;
    const std::string_view kept = comment.substr(0, kMaxComment);
    Bytes userdata{0, static_cast<uint8_t>(kept.size() + 1)};
    userdata.insert(userdata.end(), kept.begin(), kept.end());
    userdata.push_back(0);
    to.put_bytes(type, userdata);
}

void put_value(Message& to, uint16_t type, const Bytes& value) {
    to.nest(type, [&](Message& nest) { nest.put_bytes(NFTA_DATA_VALUE, value); });
}

void put_verdict(Message& to, uint16_t type, const Verdict& verdict) {
    to.nest(type, [&](Message& nest) {
        nest.nest(NFTA_DATA_VERDICT, [&](Message& inner) {
            put_u32(inner, NFTA_VERDICT_CODE, static_cast<uint32_t>(verdict.code));
            if (!verdict.chain.empty()) inner.put_string(NFTA_VERDICT_CHAIN, verdict.chain);
        });
    });
}

// One overload a kind of expression: its name in the kernel, and its attributes.
const char* put(Message& to, const LoadPayload& load) {
    put_word(to, NFTA_PAYLOAD_DREG, load.to);
    put_u32(to, NFTA_PAYLOAD_BASE, load.base);
    put_u32(to, NFTA_PAYLOAD_OFFSET, load.offset);
    put_u32(to, NFTA_PAYLOAD_LEN, load.size);
    return "payload";
}

// The flag PSEUDOHDR corrects UDP's checksum by what changed and leaves a missing one alone, for a
// port as for an address. NFT_PAYLOAD_CSUM_INET at UDP's checksum would make one out of none
// (net/netfilter/nft_payload.c: nft_payload_csum_inet), and ESP in UDP has none.
const char* put(Message& to, const StorePayload& store) {
    constexpr uint32_t kIpChecksum = 10;  // linux/ip.h: offset of `check`
    put_word(to, NFTA_PAYLOAD_SREG, store.from);
    put_u32(to, NFTA_PAYLOAD_BASE, store.base);
    put_u32(to, NFTA_PAYLOAD_OFFSET, store.offset);
    put_u32(to, NFTA_PAYLOAD_LEN, store.size);
    put_u32(to, NFTA_PAYLOAD_CSUM_TYPE,
            store.ip_checksum ? NFT_PAYLOAD_CSUM_INET : NFT_PAYLOAD_CSUM_NONE);
    put_u32(to, NFTA_PAYLOAD_CSUM_OFFSET, store.ip_checksum ? kIpChecksum : 0);
    put_u32(to, NFTA_PAYLOAD_CSUM_FLAGS, NFT_PAYLOAD_L4CSUM_PSEUDOHDR);
    return "payload";
}

const char* put(Message& to, const LoadMeta& load) {
    put_u32(to, NFTA_META_KEY, load.key);
    put_word(to, NFTA_META_DREG, load.to);
    return "meta";
}

const char* put(Message& to, const StoreMeta& store) {
    put_u32(to, NFTA_META_KEY, store.key);
    put_word(to, NFTA_META_SREG, store.from);
    return "meta";
}

const char* put(Message& to, const Compare& compare) {
    put_word(to, NFTA_CMP_SREG, compare.word);
    put_u32(to, NFTA_CMP_OP, compare.is);
    put_value(to, NFTA_CMP_DATA, compare.value);
    return "cmp";
}

const char* put(Message& to, const Mask& mask) {
    put_word(to, NFTA_BITWISE_SREG, mask.word);
    put_word(to, NFTA_BITWISE_DREG, mask.word);
    put_u32(to, NFTA_BITWISE_OP, NFT_BITWISE_BOOL);
    put_u32(to, NFTA_BITWISE_LEN, static_cast<uint32_t>(mask.mask.size()));
    put_value(to, NFTA_BITWISE_MASK, mask.mask);
    put_value(to, NFTA_BITWISE_XOR, Bytes(mask.mask.size()));
    return "bitwise";
}

const char* put(Message& to, const Immediate& immediate) {
    put_word(to, NFTA_IMMEDIATE_DREG, immediate.to);
    put_value(to, NFTA_IMMEDIATE_DATA, immediate.value);
    return "immediate";
}

const char* put(Message& to, const Verdict& verdict) {
    put_u32(to, NFTA_IMMEDIATE_DREG, NFT_REG_VERDICT);
    put_verdict(to, NFTA_IMMEDIATE_DATA, verdict);
    return "immediate";
}

const char* put(Message& to, const Lookup& lookup) {
    put_word(to, NFTA_LOOKUP_SREG, lookup.key);
    if (lookup.value) put_word(to, NFTA_LOOKUP_DREG, *lookup.value);
    if (lookup.is_verdict) put_u32(to, NFTA_LOOKUP_DREG, NFT_REG_VERDICT);
    to.put_string(NFTA_LOOKUP_SET, lookup.set);
    return "lookup";
}

const char* put(Message&, const Notrack&) { return "notrack"; }

const char* put(Message& to, const Tproxy& tproxy) {
    put_u32(to, NFTA_TPROXY_FAMILY, NFPROTO_UNSPEC);
    put_word(to, NFTA_TPROXY_REG_PORT, tproxy.port);
    return "tproxy";
}

// One that begins at nothing has no attributes.
const char* put(Message& to, const Counter& counter) {
    if (counter == Counter{}) return "counter";
    put_u64(to, NFTA_COUNTER_BYTES, counter.bytes);
    put_u64(to, NFTA_COUNTER_PACKETS, counter.packets);
    return "counter";
}

// The attributes go out behind the name, which only their overload knows.
void put_expression(Message& to, uint16_t type, const Expression& expression) {
    Message attributes(0, 0);
    const char* name =
        std::visit([&](const auto& each) { return put(attributes, each); }, expression);
    to.nest(type, [&](Message& nest) {
        nest.put_string(NFTA_EXPR_NAME, name);
        if (!std::holds_alternative<Notrack>(expression))
            nest.put_bytes(NFTA_EXPR_DATA | NLA_F_NESTED, attributes.payload());
    });
}

constexpr uint32_t type_size(Type type) {
    switch (type) {
        case Type::Ipv4:
        case Type::Mark:
            return 4;
        case Type::Ipv6:
            return 16;
        case Type::Port:
            return 2;
        case Type::Protocol:
            return 1;
        case Type::Verdict:
            return 0;
    }
    return 0;
}

// The number that nft shows a concatenation by, six bits a type, and its size in bytes.
struct Concatenation {
    uint32_t type = 0;
    uint32_t size = 0;
};
Concatenation concatenated(const std::vector<Type>& types) {
    Concatenation all;
    for (const Type type : types) {
        all.type = all.type << 6 | static_cast<uint32_t>(type);
        all.size += types.size() == 1 ? type_size(type) : (type_size(type) + 3) / 4 * 4;
    }
    return all;
}

void put_element(Message& to, const Element& element) {
    if (element.timeout)
        put_u64(to, NFTA_SET_ELEM_TIMEOUT, static_cast<uint64_t>(element.timeout->count()));
    put_value(to, NFTA_SET_ELEM_KEY, element.key);
    if (const auto* bytes = std::get_if<Bytes>(&element.value))
        put_value(to, NFTA_SET_ELEM_DATA, *bytes);
    if (const auto* verdict = std::get_if<Verdict>(&element.value))
        put_verdict(to, NFTA_SET_ELEM_DATA, *verdict);
    put_comment(to, NFTA_SET_ELEM_USERDATA, element.comment);
    if (element.counter) put_expression(to, NFTA_SET_ELEM_EXPR, *element.counter);
}

void put_key(Message& to, const Bytes& key) { put_value(to, NFTA_SET_ELEM_KEY, key); }

}  // namespace

Batch::Batch(std::string table) : table_(std::move(table)) {
    messages_.push_back(batch_mark(NFNL_MSG_BATCH_BEGIN));
    doings_.emplace_back("begin");
    size_ = 2 * messages_.front().size();
}

Message& Batch::open(uint16_t command, uint16_t flags, std::string doing) {
    messages_.push_back(table_message(command, flags));
    doings_.push_back(std::move(doing));
    return messages_.back();
}

void Batch::close() { size_ += messages_.back().size(); }

Batch::Sealed Batch::seal() {
    messages_.push_back(batch_mark(NFNL_MSG_BATCH_END));
    doings_.emplace_back("end");
    Sealed sealed{std::move(messages_), std::move(doings_)};
    *this = Batch(table_);
    return sealed;
}

void Batch::add_table(std::string_view comment) {
    Message& message = open(NFT_MSG_NEWTABLE, NLM_F_CREATE, "add table");
    message.put_string(NFTA_TABLE_NAME, table_);
    put_comment(message, NFTA_TABLE_USERDATA, comment);
    close();
}

void Batch::add_set(const Set& set) {
    Message& message = open(NFT_MSG_NEWSET, NLM_F_CREATE, "add set " + set.name);
    const bool is_verdict_map = !set.value.empty() && set.value.front() == Type::Verdict;
    const Concatenation key = concatenated(set.key);
    const Concatenation value = concatenated(set.value);
    uint32_t flags = set.value.empty() ? 0u : uint32_t{NFT_SET_MAP};
    if (set.has_timeouts) flags |= NFT_SET_TIMEOUT;
    message.put_string(NFTA_SET_TABLE, table_);
    message.put_string(NFTA_SET_NAME, set.name);
    put_u32(message, NFTA_SET_FLAGS, flags);
    put_u32(message, NFTA_SET_KEY_TYPE, key.type);
    put_u32(message, NFTA_SET_KEY_LEN, key.size);
    if (!set.value.empty()) {
        put_u32(message, NFTA_SET_DATA_TYPE,
                is_verdict_map ? uint32_t{NFT_DATA_VERDICT} : value.type);
        put_u32(message, NFTA_SET_DATA_LEN, value.size);
    }
    put_u32(message, NFTA_SET_ID, next_id_++);
    if (set.has_counters) put_expression(message, NFTA_SET_EXPR, Counter{});
    close();
}

void Batch::add_chain(const Chain& chain) {
    Message& message = open(NFT_MSG_NEWCHAIN, NLM_F_CREATE, "add chain " + chain.name);
    message.put_string(NFTA_CHAIN_TABLE, table_);
    message.put_string(NFTA_CHAIN_NAME, chain.name);
    if (chain.hook) {
        message.put_string(NFTA_CHAIN_TYPE, "filter");
        put_u32(message, NFTA_CHAIN_POLICY, NF_ACCEPT);
        message.nest(NFTA_CHAIN_HOOK, [&](Message& hook) {
            put_u32(hook, NFTA_HOOK_HOOKNUM, chain.hook->at);
            put_u32(hook, NFTA_HOOK_PRIORITY, static_cast<uint32_t>(chain.hook->priority));
        });
    }
    close();
}

void Batch::add_rule(const Rule& rule) {
    Message& message = open(NFT_MSG_NEWRULE, NLM_F_CREATE | NLM_F_APPEND,
                            fmt::format("add rule to {} ({})", rule.chain, rule.comment));
    message.put_string(NFTA_RULE_TABLE, table_);
    message.put_string(NFTA_RULE_CHAIN, rule.chain);
    message.nest(NFTA_RULE_EXPRESSIONS, [&](Message& list) {
        for (const Expression& each : rule.expressions) put_expression(list, NFTA_LIST_ELEM, each);
    });
    put_comment(message, NFTA_RULE_USERDATA, rule.comment);
    close();
}

void Batch::remove_table() {
    open(NFT_MSG_DELTABLE, 0, "remove table").put_string(NFTA_TABLE_NAME, table_);
    close();
}

void Batch::remove_rules(std::string_view chain) {
    Message& message = open(NFT_MSG_DELRULE, 0, fmt::format("remove rules of {}", chain));
    message.put_string(NFTA_RULE_TABLE, table_);
    message.put_string(NFTA_RULE_CHAIN, chain);
    close();
}

template <class Each, class Put>
void Batch::put_elements(uint16_t command, std::string_view set, std::span<const Each> list,
                         Put put) {
    const bool is_new = command == NFT_MSG_NEWSETELEM;
    const auto flags = static_cast<uint16_t>(is_new ? NLM_F_CREATE | NLM_F_EXCL : 0);
    while (!list.empty()) {
        Message& message =
            open(command, flags, fmt::format("{} elements of {}", is_new ? "add" : "remove", set));
        message.put_string(NFTA_SET_ELEM_LIST_TABLE, table_);
        message.put_string(NFTA_SET_ELEM_LIST_SET, set);
        const size_t nest = message.open_nest(NFTA_SET_ELEM_LIST_ELEMENTS);
        size_t count = 0;
        for (; count < list.size(); ++count) {
            const size_t before = message.size();
            // The type is only a number, and nft counts.
            message.nest(static_cast<uint16_t>(count + 1),
                         [&](Message& to) { put(to, list[count]); });
            if (count == 0 || message.nest_size(nest) <= Message::kMaxNest) continue;
            message.truncate(before);
            break;
        }
        message.close_nest(nest);
        close();
        list = list.subspan(count);
    }
}

void Batch::add_elements(std::string_view set, std::span<const Element> elements) {
    put_elements(NFT_MSG_NEWSETELEM, set, elements, put_element);
}

void Batch::remove_elements(std::string_view set, std::span<const Bytes> keys) {
    put_elements(NFT_MSG_DELSETELEM, set, keys, put_key);
}

Message get_table(std::string_view table) {
    Message message = table_message(NFT_MSG_GETTABLE, 0);
    message.put_string(NFTA_TABLE_NAME, table);
    return message;
}

Message get_rules(std::string_view table, std::string_view chain) {
    Message message = table_message(NFT_MSG_GETRULE, 0);
    message.put_string(NFTA_RULE_TABLE, table);
    message.put_string(NFTA_RULE_CHAIN, chain);
    return message;
}

Message get_elements(std::string_view table, std::string_view set) {
    Message message = table_message(NFT_MSG_GETSETELEM, 0);
    message.put_string(NFTA_SET_ELEM_LIST_TABLE, table);
    message.put_string(NFTA_SET_ELEM_LIST_SET, set);
    return message;
}

Message get_element(std::string_view table, std::string_view set, const Bytes& key) {
    Message message = get_elements(table, set);
    message.nest(NFTA_SET_ELEM_LIST_ELEMENTS, [&](Message& list) {
        list.nest(NFTA_LIST_ELEM, [&](Message& element) { put_key(element, key); });
    });
    return message;
}

}  // namespace cvlan::netlink::nft
