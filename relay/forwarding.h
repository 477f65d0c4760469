// SPDX-License-Identifier: Apache-2.0
#pragma once

// The kernel's half of UDP relaying: an nftables table of our own, in which a pair of nodes is two
// elements of a map. The kernel rewrites and forwards; no process touches a packet.
//
// A Forwarding belongs to one thread. It remembers nothing but our own addresses: what is there is
// asked from the kernel, and stays there when the Forwarding, or the process, ends. Pairs run out
// by themselves unless they are refreshed. No table but ours is read or changed.

#include <chrono>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "base/ip.h"
#include "base/result.h"
#include "netlink/netns.h"
#include "netlink/nft_client.h"
#include "relay/forwarding_table.h"

namespace cvlan::relay {

class Forwarding {
public:
    // Code::Unsupported if the kernel has no nftables, Denied without CAP_NET_ADMIN.
    static Result<Forwarding> open(const netlink::NetnsFd& netns);

    // Makes what is missing of the table, for these addresses of ours, in one step: pairs that are
    // there go on. To be called at the start and now and then, since somebody may flush the rules.
    // A table of our name that is not ours is Code::Exists.
    enum class Installed {
        Unchanged,
        Repaired,  // rules were missing or of other addresses; pairs are as they were
        Created,   // there was nothing, or the table of another version, whose pairs are gone
    };
    Result<Installed> install(std::vector<Address> own);
    // The same, but the rules are written anew even if they look right. For the start.
    Result<Installed> reinstall(std::vector<Address> own);

    // Adds pairs; those that are there are refreshed, and keep their counters. Each pair is done
    // whole or not at all. Code::Conflict where another pair has one of the places.
    Result<void> put(std::span<const Pair> pairs, std::chrono::seconds timeout);
    // As put, for pairs that are known to be there.
    Result<void> refresh(std::span<const Pair> pairs, std::chrono::seconds timeout);
    // A node is seen elsewhere: in one step, with the counters.
    Result<void> replace(const Pair& before, const Pair& after, std::chrono::seconds timeout);
    // What is not there, or is another's, is left alone.
    Result<void> remove(std::span<const Pair> pairs);

    // All of both families. The kernel counts its way through the map anew for each message:
    // 100,000 pairs take seconds, and a program should ask once, when it starts.
    Result<std::vector<PairState>> pairs();

    // What went out to nodes, of all pairs there were, since the rules were written. Cheap.
    Result<Traffic> traffic();

    // Takes the table away, with all pairs.
    Result<void> uninstall();

    netlink::nft::Client& client() { return client_; }

private:
    struct Move {
        const Pair& before;
        const Pair& after;
    };
    struct Plan;

    explicit Forwarding(netlink::nft::Client client) : client_(std::move(client)) {}
    Result<Installed> install(std::vector<Address> own, bool always);
    Result<bool> has_rules(std::span<const netlink::nft::Rule> rules);
    Result<void> check(std::span<const Pair> pairs);
    Result<void> add(std::span<const Pair> pairs, std::chrono::seconds timeout);
    Result<void> move(std::span<const Move> moves, std::chrono::seconds timeout);
    Result<void> plan(const Move& move, std::chrono::seconds timeout, Plan& plan);
    Result<void> remove_part(std::span<const Pair> pairs);
    Result<std::optional<netlink::nft::Element>> find(Family family, const Bytes& key);

    netlink::nft::Client client_;
    std::vector<Address> own_;
};

}  // namespace cvlan::relay
