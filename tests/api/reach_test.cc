// SPDX-License-Identifier: Apache-2.0
// Relays and nodes at the controller: how a relay comes in, what it is told, what nodes get for it
// and what they report.
#include "model/relay_map.h"
#include "pki/certificate.h"
#include "pki/token.h"
#include "tests/api/fixture.h"

namespace cvlan::api {
namespace {

namespace wire = model::wire;

struct ReachTest : ApiTest {
    std::string tenant = make_tenant();
    std::string network = make_network(tenant);

    std::string relay_token(const std::string& of) {
        return expect<wire::TokenCreated>(
                   201, ask("POST", "/api/v1/tokens",
                            fmt::format(R"({{"tenantId":"{}","role":"RELAY"}})", of)))
            .token;
    }
    wire::EnrolRequest relay_request(const TestNode& node, const std::string& token) {
        wire::EnrolRequest request;
        request.token = token;
        request.csr = *pki::create_csr(
            node.key, pki::enrolment_binding(pki::parse_token(token)->claims, Bytes{}));
        request.protocol_version = 1;
        return request;
    }
    TestNode relay_in(const std::string& of) {
        TestNode node = new_node();
        node.enrolment = expect<wire::Enrolment>(
            201, ask("POST", "/api/v1/enrol", encode(relay_request(node, relay_token(of)))));
        return node;
    }
    wire::Relay relay_on(const std::string& of, const TestNode& node, const std::string& name) {
        return expect<wire::Relay>(
            201, ask("POST", "/api/v1/relays",
                     fmt::format(R"({{"tenantId":"{}","name":"{}","nodeId":"{}",)"
                                 R"("endpoints":["192.0.2.1:443"],"stunPort":3479}})",
                                 of, name, node.enrolment.node_id)));
    }
    std::vector<wire::MapFragment> map_of(const TestNode& node, const std::string& since = "") {
        const std::string query = since.empty() ? "" : "?since=" + since;
        const auto answer = ask("GET", "/api/v1/node/map" + query, "", node.enrolment.certificate);
        std::vector<wire::MapFragment> fragments;
        if (answer.status != 200) return fragments;
        const auto key = *pki::VerifyKey::from_bytes(node.enrolment.map_keys.at(0).public_key);
        const auto map = whole_map(answer);
        for (const auto& fragment : map.fragments) {
            EXPECT_TRUE(key.verify(fragment.payload, fragment.signature));
            fragments.push_back(fragment_of(fragment));
        }
        return fragments;
    }
    http::Response report(const TestNode& node, const std::string& peers) {
        return ask("PUT", "/api/v1/node/health", R"({"peers":[)" + peers + "]}",
                   node.enrolment.certificate);
    }
    std::string peer(const TestNode& node, const std::string& more = R"("path":"DIRECT")") {
        return fmt::format(R"({{"networkId":"{}","nodeId":"{}",{}}})", network,
                           node.enrolment.node_id, more);
    }
    http::Response report_home(const TestNode& node, const std::string& relay_id) {
        return ask("PUT", "/api/v1/node/endpoints",
                   fmt::format(R"({{"networks":[{{"networkId":"{}","listenPort":51820,)"
                               R"("endpoints":[]}}],"relayId":"{}"}})",
                               network, relay_id),
                   node.enrolment.certificate);
    }
};

TEST_F(ReachTest, ARelayEnrolsWithoutANetworkAndWithoutAKey) {
    const auto relay = relay_in(tenant);
    EXPECT_FALSE(relay.enrolment.membership);
    const auto certificate =
        pki::parse_node_certificate(relay.enrolment.certificate, "test.cvlan.internal");
    ASSERT_TRUE(certificate) << certificate.error().message;
    EXPECT_EQ(certificate->tenant_id, tenant);
    EXPECT_TRUE(map_of(relay).empty());
    const auto shown =
        expect<wire::Node>(200, ask("GET", "/api/v1/nodes/" + relay.enrolment.node_id));
    EXPECT_EQ(shown.role, wire::TokenRole::Relay);
    EXPECT_TRUE(shown.memberships.empty());
}

TEST_F(ReachTest, WhatARelayMustNotNameAndANodeMustIsRefusedByName) {
    const auto node = new_node();
    auto request = relay_request(node, relay_token(tenant));
    request.wireguard_public_key = node.wireguard_key;
    auto refused = expect<wire::Problem>(400, ask("POST", "/api/v1/enrol", encode(request)));
    EXPECT_EQ(refused.errors.at(0).pointer, "/wireguardPublicKey");

    request = relay_request(node, make_token(tenant, network).token);
    refused = expect<wire::Problem>(400, ask("POST", "/api/v1/enrol", encode(request)));
    EXPECT_EQ(refused.errors.at(0).pointer, "/wireguardPublicKey");

    // Made for a token and a key: worth nothing with the token alone (F22).
    request = relay_request(node, relay_token(tenant));
    request.csr = enrol_request(node, request.token, "").csr;
    EXPECT_EQ(code_of(ask("POST", "/api/v1/enrol", encode(request))), "CSR_NOT_BOUND");

    for (const char* role : {"NODE", "VROUTER"}) {
        refused = expect<wire::Problem>(
            400, ask("POST", "/api/v1/tokens",
                     fmt::format(R"({{"tenantId":"{}","role":"{}"}})", tenant, role)));
        EXPECT_EQ(refused.errors.at(0).pointer, "/networkId");
    }
}

TEST_F(ReachTest, ATokenOfARelayAdmitsNobodyToANetwork) {
    const auto node = enrolled(make_token(tenant, network).token, "a");
    wire::JoinRequest join;
    join.token = relay_token(tenant);
    join.wireguard_public_key = base64(random_bytes(32));
    EXPECT_EQ(
        ask("POST", "/api/v1/node/memberships", encode(join), node.enrolment.certificate).status,
        400);
    const auto relay = relay_in(tenant);
    join.token = make_token(tenant, network).token;
    EXPECT_EQ(
        ask("POST", "/api/v1/node/memberships", encode(join), relay.enrolment.certificate).status,
        409);
}

TEST_F(ReachTest, NodesHearOfARelayAndOfOneAnothersHome) {
    const auto relay = relay_in(tenant);
    const auto made = relay_on(tenant, relay, "one");
    EXPECT_EQ(made.stun_port, 3479);
    const auto token = make_token(tenant, network, 2).token;
    const auto a = enrolled(token, "a"), b = enrolled(token, "b");
    EXPECT_EQ(report_home(a, made.id).status, 204);
    EXPECT_EQ(report_home(b, a.enrolment.node_id).status, 400) << "no relay";

    const auto fragments = map_of(b);
    wire::MapHead head;
    head.tenant_id = tenant;
    head.node_id = b.enrolment.node_id;
    head.network_ids = {network};
    const auto map = model::build_map(head, fragments, 1);
    ASSERT_EQ(map.relays.size(), 1u);
    const auto& told = map.relays.at(made.id);
    EXPECT_EQ(told.name, "one");
    EXPECT_EQ(told.node_id, relay.enrolment.node_id);
    EXPECT_EQ(told.stun_port, 3479);
    EXPECT_EQ(map.networks.at(network).peers.at(a.enrolment.node_id).relay_id, made.id);
    EXPECT_TRUE(map.refused.empty());

    ASSERT_EQ(ask("DELETE", "/api/v1/relays/" + made.id).status, 204);
    const auto after = model::build_map(head, map_of(b), 1);
    EXPECT_TRUE(after.relays.empty());
    EXPECT_EQ(after.networks.at(network).peers.at(a.enrolment.node_id).relay_id, "");
}

TEST_F(ReachTest, ANodeOfAnotherTenantHearsNothingOfARelay) {
    const auto relay = relay_in(tenant);
    const auto made = relay_on(tenant, relay, "canary-one");
    const auto other = make_tenant("other");
    const auto elsewhere = make_network(other, "10.200.0.0/24");
    const auto stranger = enrolled(make_token(other, elsewhere).token, "stranger");
    const auto their_relay = relay_in(other);
    for (const TestNode* node : {&stranger, &their_relay}) {
        const auto answer = ask("GET", "/api/v1/node/map", "", node->enrolment.certificate);
        std::string all = answer.body;
        const auto map = whole_map(answer);
        for (const auto& fragment : map.fragments) all += as_text(fragment.payload);
        for (const std::string& canary : {made.id, relay.enrolment.node_id, tenant,
                                          std::string("canary-one"), std::string("192.0.2.1")})
            EXPECT_EQ(all.find(canary), std::string::npos) << canary;
    }
    const auto refused = ask("PUT", "/api/v1/node/endpoints",
                             fmt::format(R"({{"networks":[{{"networkId":"{}","listenPort":1,)"
                                         R"("endpoints":[]}}],"relayId":"{}"}})",
                                         elsewhere, made.id),
                             stranger.enrolment.certificate);
    EXPECT_EQ(refused.status, 400);
}

TEST_F(ReachTest, AGrantIsSignedForEachOfANodesNetworks) {
    auto node = enrolled(make_token(tenant, network).token, "a");
    const auto lab = make_network(tenant, "10.101.0.0/24", "lab");
    wire::JoinRequest join;
    join.token = make_token(tenant, lab).token;
    join.wireguard_public_key = base64(random_bytes(32));
    ASSERT_EQ(
        ask("POST", "/api/v1/node/memberships", encode(join), node.enrolment.certificate).status,
        201);
    const auto grants = expect<wire::RelayGrants>(
        200, ask("POST", "/api/v1/node/relay-grants", "", node.enrolment.certificate));
    ASSERT_EQ(grants.grants.size(), 2u);
    const auto& trusted = node.enrolment.map_keys;
    std::map<std::string, wire::RelayGrant> by_network;
    for (const auto& bytes : grants.grants) {
        EXPECT_EQ(bytes.kid, trusted.at(0).kid);
        EXPECT_TRUE(pki::VerifyKey::from_bytes(trusted.at(0).public_key)
                        ->verify(bytes.payload, bytes.signature));
        // One is no fragment and no head, which are signed with the same key.
        EXPECT_FALSE(model::decode<wire::MapFragment>(as_text(bytes.payload), model::kDocument));
        EXPECT_FALSE(model::decode<wire::MapHead>(as_text(bytes.payload), model::kDocument));
        const auto grant = *model::decode<wire::RelayGrant>(as_text(bytes.payload));
        EXPECT_EQ(grant.tenant_id, tenant);
        EXPECT_EQ(grant.node_id, node.enrolment.node_id);
        EXPECT_EQ(grant.issued_at, clock.now());
        EXPECT_EQ(grant.expires_at, clock.now() + std::chrono::hours(24));
        by_network[grant.network_id] = grant;
    }
    EXPECT_EQ(by_network.at(network).wireguard_public_key, node.wireguard_key);
    EXPECT_EQ(by_network.at(lab).wireguard_public_key, join.wireguard_public_key);
    EXPECT_TRUE(expect<wire::RelayGrants>(200, ask("POST", "/api/v1/node/relay-grants", "",
                                                   relay_in(tenant).enrolment.certificate))
                    .grants.empty());
}

TEST_F(ReachTest, WhoIsNotInGetsNoGrant) {
    const auto node = enrolled(make_token(tenant, network, 2).token, "a");
    for (const auto& [change, code] :
         {std::pair("expire", "NODE_EXPIRED"), std::pair("revoke", "NODE_REVOKED")}) {
        ASSERT_EQ(ask("POST", "/api/v1/nodes/" + node.enrolment.node_id + "/" + change).status,
                  200);
        EXPECT_EQ(code_of(ask("POST", "/api/v1/node/relay-grants", "", node.enrolment.certificate)),
                  code);
    }
    auto settings = *store->policies().settings(tenant);
    settings.device_approval = true;
    ASSERT_TRUE(store->policies().set_settings(settings));
    const auto waiting = enrolled(make_token(tenant, network).token, "b");
    EXPECT_EQ(code_of(ask("POST", "/api/v1/node/relay-grants", "", waiting.enrolment.certificate)),
              "NODE_PENDING");
    ASSERT_EQ(ask("POST", "/api/v1/nodes/" + waiting.enrolment.node_id + "/approve").status, 200);
    EXPECT_EQ(ask("POST", "/api/v1/node/relay-grants", "", waiting.enrolment.certificate).status,
              200);
}

TEST_F(ReachTest, AdministratorsSeeByWhichPathANodeReachesItsPeers) {
    const auto relay = relay_in(tenant);
    const auto made = relay_on(tenant, relay, "one");
    const auto token = make_token(tenant, network, 2).token;
    const auto a = enrolled(token, "a"), b = enrolled(token, "b");
    const std::string path = "/api/v1/nodes/" + a.enrolment.node_id + "/peers";
    EXPECT_FALSE(expect<wire::NodePeerList>(200, ask("GET", path)).reported_at);
    const auto entries = store->audit({.tenant_id = tenant, .page_size = 1000})->items.size();
    ASSERT_EQ(report(a, peer(b, fmt::format(R"("path":"RELAY_UDP","endpoint":"192.0.2.1:49152",)"
                                            R"("relayId":"{}","rttMs":31)",
                                            made.id)))
                  .status,
              204);
    const auto list = expect<wire::NodePeerList>(200, ask("GET", path));
    EXPECT_EQ(list.reported_at, clock.now());
    ASSERT_EQ(list.peers.size(), 1u);
    const auto& shown = list.peers[0];
    EXPECT_EQ(shown.name, "b");
    EXPECT_EQ(shown.network_name, "office");
    EXPECT_EQ(shown.path, wire::PeerPath::RelayUdp);
    EXPECT_EQ(shown.endpoint, "192.0.2.1:49152");
    EXPECT_EQ(shown.relay_name, "one");
    EXPECT_EQ(shown.rtt_ms, 31);
    EXPECT_EQ(store->audit({.tenant_id = tenant, .page_size = 1000})->items.size(), entries);
}

TEST_F(ReachTest, WhatNodesHaveCarriedIsTheTenantsUsage) {
    const auto a = enrolled(make_token(tenant, network, 2).token, "a");
    const std::string usage = "/api/v1/tenants/" + tenant + "/usage";
    EXPECT_EQ(expect<wire::TenantUsage>(200, ask("GET", usage)).received_bytes, 0);
    constexpr auto told =
        R"({{"peers":[],"traffic":[{{"networkId":"{}","countedSince":"2027-01-01T00:00:00Z",)"
        R"("receivedBytes":"{}","sentBytes":"7"}}]}})";
    const auto put = [&](const std::string& bytes) {
        return ask("PUT", "/api/v1/node/health", fmt::format(told, network, bytes),
                   a.enrolment.certificate);
    };
    EXPECT_EQ(put("-1").status, 400);
    EXPECT_EQ(put("9223372036854775807").status, 400);
    ASSERT_EQ(put("4096").status, 204);
    const auto shown = expect<wire::TenantUsage>(200, ask("GET", usage));
    EXPECT_EQ(shown.received_bytes, 4096);
    EXPECT_EQ(shown.sent_bytes, 7);
    ASSERT_EQ(shown.traffic.size(), 1u);
    EXPECT_EQ(shown.traffic[0].network_id, network);
    EXPECT_EQ(shown.traffic[0].network_name, "office");
    EXPECT_EQ(shown.traffic[0].received_bytes, 4096);
}

TEST_F(ReachTest, ReportsAreTakenEachFiveSecondsOfANodeAndNoLargerThanTheyMayBe) {
    const auto token = make_token(tenant, network, 2).token;
    const auto a = enrolled(token, "a"), b = enrolled(token, "b");
    ASSERT_EQ(report(a, peer(b)).status, 204);
    const auto early = report(a, peer(b));
    EXPECT_EQ(early.status, 429);
    EXPECT_EQ(code_of(early), "TOO_MANY_REPORTS");
    EXPECT_EQ(*early.header("Retry-After"), "5");
    EXPECT_EQ(report(b, peer(a)).status, 204) << "another node";
    clock.advance(std::chrono::milliseconds(4200));
    EXPECT_EQ(*report(a, peer(b)).header("Retry-After"), "1");
    clock.advance(std::chrono::milliseconds(800));
    EXPECT_EQ(report(a, peer(b)).status, 204);

    clock.advance(std::chrono::seconds(5));
    std::string many = peer(b);
    for (int i = 1; i < 1000; ++i) many += "," + peer(b);
    EXPECT_EQ(report(a, many).status, 204);
    clock.advance(std::chrono::seconds(5));
    EXPECT_EQ(report(a, many + "," + peer(b)).status, 400);
    for (const char* bad :
         {R"("path":"SIDEWAYS")", R"("path":"DIRECT","endpoint":"here")",
          R"("path":"DIRECT","rttMs":-1)", R"("path":"DIRECT","rttMs":600001)", R"("rttMs":1)"})
        EXPECT_EQ(report(a, peer(b, bad)).status, 400) << bad;
    EXPECT_EQ(report(a, peer(b)).status, 204) << "what was refused does not count";
}

}  // namespace
}  // namespace cvlan::api
