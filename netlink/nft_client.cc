// SPDX-License-Identifier: Apache-2.0
#include "netlink/nft_client.h"

#include <linux/netfilter/nfnetlink.h>

#include <cerrno>

#include "netlink/nft_parse.h"

namespace cvlan::netlink::nft {

namespace {

// For each message of a dump the kernel counts its way through the set from the start
// (net/netfilter/nft_set_hash.c, nft_rhash_walk): 200,000 elements take seconds.
constexpr std::chrono::seconds kTimeLimit{60};

// nfnetlink answers EINVAL to a subsystem that it does not have (net/netfilter/nfnetlink.c), a
// kernel without nfnetlink refuses the socket.
Error without_nftables(Error error) {
    if (error.sys_errno != EINVAL && error.sys_errno != EPROTONOSUPPORT) return error;
    return {Code::Unsupported,
            "kernel lacks nftables: its module nf_tables is not built, or may not be loaded here "
            "(try: modprobe nf_tables)",
            error.sys_errno};
}

}  // namespace

Result<Client> Client::open(const NetnsFd& netns) {
    auto socket = Socket::open(NETLINK_NETFILTER, netns);
    if (!socket) return failed(without_nftables(socket.error()));
    socket->set_time_limit(kTimeLimit);
    return over(std::move(*socket));
}

Result<Client> Client::over(Socket socket) {
    // Asking loads the module; which generation of rules it is does not matter.
    Message message(NFNL_SUBSYS_NFTABLES << 8 | NFT_MSG_GETGEN, 0);
    message.put_header(nfgenmsg{AF_UNSPEC, NFNETLINK_V0, 0});
    auto answered = socket.request(message, [](const Reply&) -> Result<void> { return {}; });
    if (!answered) return failed(without_nftables(answered.error()));
    return Client(std::move(socket));
}

Result<void> Client::commit(Batch batch) {
    if (batch.empty()) return {};
    auto sealed = batch.seal();
    size_t failing = 0;
    auto done = socket_.request_batch(sealed.messages, failing);
    if (done) return done;
    return failed(done.error().while_doing("nft: " + sealed.doings[failing]));
}

Result<Table> Client::table(std::string_view name) {
    Table table;
    Message message = get_table(name);
    auto done = socket_.request(message, [&](const Reply& reply) -> Result<void> {
        auto parsed = parse_table(reply.payload);
        if (!parsed) return failed(parsed.error());
        table = std::move(*parsed);
        return {};
    });
    if (!done) return failed(done.error().while_doing(fmt::format("nft: read table {}", name)));
    return table;
}

Result<std::vector<Rule>> Client::rules(std::string_view table, std::string_view chain) {
    std::vector<Rule> rules;
    Message message = get_rules(table, chain);
    auto done = socket_.dump(
        message, [&] { rules.clear(); },
        [&](const Reply& reply) -> Result<void> {
            auto parsed = parse_rule(reply.payload);
            if (!parsed) return failed(parsed.error());
            rules.push_back(std::move(*parsed));
            return {};
        });
    if (!done) return failed(done.error().while_doing(fmt::format("nft: read rules of {}", chain)));
    return rules;
}

Result<std::vector<Element>> Client::elements(std::string_view table, std::string_view set) {
    std::vector<Element> elements;
    Message message = get_elements(table, set);
    auto done = socket_.dump(
        message, [&] { elements.clear(); },
        [&](const Reply& reply) { return parse_elements(reply.payload, elements); });
    if (!done) return failed(done.error().while_doing(fmt::format("nft: read set {}", set)));
    return elements;
}

Result<Element> Client::element(std::string_view table, std::string_view set, const Bytes& key) {
    std::vector<Element> elements;
    Message message = get_element(table, set, key);
    auto done = socket_.request(
        message, [&](const Reply& reply) { return parse_elements(reply.payload, elements); });
    if (!done) return failed(done.error().while_doing(fmt::format("nft: read from set {}", set)));
    if (elements.empty()) return fail(Code::Malformed, "nft: read from set {}: no element", set);
    return std::move(elements.front());
}

}  // namespace cvlan::netlink::nft
