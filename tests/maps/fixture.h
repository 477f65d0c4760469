// SPDX-License-Identifier: Apache-2.0
#pragma once

// Maps of one tenant, whose networks, nodes and relays have numbers.

#include <gtest/gtest.h>

#include "base/bytes.h"
#include "maps/maps.h"

namespace cvlan::maps {

namespace wire = model::wire;

// A signature that any reader can check by eye: the maps do not care which key made it.
inline Result<wire::SignedBytes> sign(const std::string& tenant_id, const std::string& payload) {
    const auto bytes = as_bytes(payload);
    return wire::SignedBytes{tenant_id, Bytes(bytes.begin(), bytes.end()), sha256(bytes)};
}

inline constexpr const char* kTenant = "00000000-0000-7000-8000-00000000ac3e";

inline std::string id(int kind, int n) {
    return fmt::format("00000000-0000-7000-800{}-{:012}", kind, n);
}

inline model::Network network(int n) {
    model::Network made;
    made.tenant_id = kTenant;
    made.id = id(1, n);
    made.name = fmt::format("net{}", n);
    made.ipv4 = *Prefix::parse(fmt::format("10.{}.0.0/16", n));
    made.revision = 1;
    return made;
}

inline model::Node node(int n, const std::vector<int>& networks, int64_t revision = 1) {
    model::Node made;
    made.tenant_id = kTenant;
    made.id = id(2, n);
    made.name = fmt::format("node{}", n);
    for (int of : networks) {
        model::Membership membership;
        membership.network_id = id(1, of);
        membership.node_id = made.id;
        membership.ipv4 = made.memberships.empty()
                              ? *Address::parse(fmt::format("10.{}.0.{}", of, n % 250 + 1))
                              : *Address::parse(fmt::format("10.{}.1.{}", of, n % 250 + 1));
        membership.wireguard_key = base64(sha256(as_bytes(fmt::format("key {} {}", n, of))));
        membership.revision = revision;
        made.memberships.push_back(membership);
    }
    return made;
}

inline store::MapMember member(const model::Node& of) {
    return {of.name, model::TokenRole::Node, of.memberships.at(0)};
}

struct Answer {
    wire::NodeMap map;
    std::vector<wire::MapFragment> fragments;
    size_t bytes = 0;
};

struct MapsTest : testing::Test {
    ManualClock clock{from_unix_ms(1'800'000'000'000)};
    Maps maps{sign, clock};

    void load(int networks, int nodes_each) {
        store::MapInputs inputs;
        inputs.revision = 1;
        inputs.removed_at = 1;
        for (int n = 1; n <= networks; ++n) inputs.networks.push_back(network(n));
        for (int n = 1; n <= networks * nodes_each; ++n)
            inputs.members.push_back(member(node(n, {(n - 1) / nodes_each + 1})));
        maps.load(kTenant, 7, inputs);
    }
    std::optional<Answer> poll(int n, std::optional<Since> since) {
        auto answer = maps.answer(kTenant, id(2, n), since);
        EXPECT_TRUE(answer) << answer.error().message;
        if (!answer || !*answer) return std::nullopt;
        return decoded(**answer);
    }
    static Answer decoded(const http::Response& response) {
        std::string text = response.body;
        for (const auto& chunk : response.chunks) text += *chunk;
        auto map = model::decode<wire::NodeMap>(text);
        EXPECT_TRUE(map) << map.error().message << text;
        Answer read{*map, {}, text.size()};
        for (const auto& fragment : map->fragments)
            read.fragments.push_back(*model::decode<wire::MapFragment>(as_text(fragment.payload)));
        return read;
    }
    void apply(store::EventKind kind, int64_t revision, std::optional<model::Node> of = {}) {
        Change change{{kTenant, revision, kind, of ? of->id : id(3, 1), {}, {}}, 7};
        change.node = std::move(of);
        ASSERT_TRUE(maps.apply(change));
    }
    Since settled(int n) {
        const auto full = poll(n, std::nullopt);
        return {full->map.epoch, full->map.revision};
    }
};

}  // namespace cvlan::maps
