// SPDX-License-Identifier: Apache-2.0
#include "tests/api/fixture.h"

namespace cvlan::api {
namespace {

namespace wire = model::wire;

struct ObjectsTest : ApiTest {
    std::string tenant = make_tenant();

    http::Response network(const std::string& fields) {
        return ask("POST", "/api/v1/networks",
                   fmt::format(R"({{"tenantId":"{}",{}}})", tenant, fields));
    }
};

TEST_F(ObjectsTest, ATenantIsMadeListedShownAndDeleted) {
    const auto list = expect<wire::TenantList>(200, ask("GET", "/api/v1/tenants?name=acme"));
    ASSERT_EQ(list.tenants.size(), 1u);
    EXPECT_EQ(list.tenants[0].id, tenant);
    EXPECT_EQ(ask("POST", "/api/v1/tenants", R"({"name":"acme"})").status, 409);
    EXPECT_EQ(ask("DELETE", "/api/v1/tenants/" + tenant).status, 204);
    EXPECT_EQ(ask("GET", "/api/v1/tenants/" + tenant).status, 404);
    EXPECT_FALSE(std::filesystem::exists(folder + "/keys/" + tenant));
}

TEST_F(ObjectsTest, TheAuditSaysWhoAskedForAChangeAndWhichRequestItWas) {
    EXPECT_EQ(ask("PATCH", "/api/v1/tenants/" + tenant, R"({"name":"renamed"})").status, 200);
    const auto page = store->audit({.tenant_id = tenant});
    ASSERT_TRUE(page) << page.error().message;
    ASSERT_FALSE(page->items.empty());
    const model::AuditEntry& last = page->items.back();
    EXPECT_EQ(last.action, "TENANT_RENAMED");
    EXPECT_EQ(last.actor, "operator:0");
    EXPECT_EQ(last.source, "unix");
    EXPECT_EQ(last.request_id, "request-1");
}

TEST_F(ObjectsTest, ARefusedTenantLeavesNoKeysBehind) {
    EXPECT_EQ(ask("POST", "/api/v1/tenants", R"({"name":"acme"})").status, 409);
    EXPECT_EQ(ask("POST", "/api/v1/tenants", R"({"name":"../x"})").status, 400);
    size_t folders = 0;
    for ([[maybe_unused]] const auto& entry : std::filesystem::directory_iterator(folder + "/keys"))
        ++folders;
    EXPECT_EQ(folders, 1u);
}

// F27
TEST_F(ObjectsTest, PrefixesThatCanNotWorkAreRefusedAndNamed) {
    for (const char* bad : {"10.0.0.1/24", "0.0.0.0/0", "127.0.0.0/8", "169.254.0.0/16",
                            "224.0.0.0/8", "fd00::/64", "x", ""})
        EXPECT_EQ(network(fmt::format(R"("name":"n","ipv4":"{}")", bad)).status, 400) << bad;
    for (const char* bad :
         {"::/0", "fe80::/64", "ff00::/8", "::ffff:10.0.0.0/120", "fd00::1/64", "10.0.0.0/8"})
        EXPECT_EQ(network(fmt::format(R"("name":"n","ipv6":"{}")", bad)).status, 400) << bad;
    EXPECT_EQ(network(R"("name":"n","ipv4":"none","ipv6":"none")").status, 400);
    EXPECT_EQ(network(R"("name":"n","ipv4":"10.1.0.0/31")").status, 201);
    EXPECT_EQ(network(R"("name":"wide","ipv4":"10.0.0.0/8")").status, 409);
}

// F27: the nodes' way to the controller would lead into the tunnel.
TEST_F(ObjectsTest, ANetworkDoesNotHoldTheControllersOwnAddress) {
    context.settings.own_addresses = {*Address::parse("10.7.0.1"), *Address::parse("fd07::1")};
    const auto refused = network(R"("name":"n","ipv4":"10.7.0.0/16")");
    EXPECT_EQ(refused.status, 409);
    EXPECT_NE(refused.body.find("own address 10.7.0.1"), std::string::npos) << refused.body;
    EXPECT_EQ(network(R"("name":"n","ipv4":"none","ipv6":"fd07::/64")").status, 409);
    EXPECT_EQ(network(R"("name":"n","ipv4":"10.8.0.0/16","ipv6":"fd08::/64")").status, 201);
}

TEST_F(ObjectsTest, TwoTenantsMayHaveTheSamePrefix) {
    EXPECT_EQ(network(R"("name":"n","ipv4":"10.1.0.0/24")").status, 201);
    tenant = make_tenant("other");
    EXPECT_EQ(network(R"("name":"n","ipv4":"10.1.0.0/24")").status, 201);
}

TEST_F(ObjectsTest, ANetworkWithNodesIsNotDeleted) {
    const auto id = make_network(tenant);
    const auto node = enrolled(make_token(tenant, id).token, "a");
    EXPECT_EQ(ask("DELETE", "/api/v1/networks/" + id).status, 409);
    EXPECT_EQ(ask("DELETE", "/api/v1/nodes/" + node.enrolment.node_id).status, 204);
    EXPECT_EQ(ask("DELETE", "/api/v1/networks/" + id).status, 204);
}

TEST_F(ObjectsTest, AnObjectOfAnotherTenantIsNotFound) {
    const auto id = make_network(tenant);
    const auto other = make_tenant("other");
    EXPECT_EQ(ask("GET", "/api/v1/networks/" + id + "?tenant=" + other).status, 404);
    EXPECT_EQ(ask("GET", "/api/v1/networks/" + id + "?tenant=" + tenant).status, 200);
}

TEST_F(ObjectsTest, PagesHoldWhatWasAskedForAndLeadToTheNext) {
    for (int i = 0; i < 5; ++i) network(fmt::format(R"("name":"n{}","ipv4":"10.{}.0.0/24")", i, i));
    const auto first =
        expect<wire::NetworkList>(200, ask("GET", "/api/v1/networks?pageSize=3&tenant=" + tenant));
    EXPECT_EQ(first.networks.size(), 3u);
    const auto rest =
        expect<wire::NetworkList>(200, ask("GET", "/api/v1/networks?pageSize=3&tenant=" + tenant +
                                                      "&pageToken=" + first.next_page_token));
    EXPECT_EQ(rest.networks.size(), 2u);
    EXPECT_EQ(rest.next_page_token, "");
    EXPECT_EQ(ask("GET", "/api/v1/networks?pageSize=0").status, 400);
    EXPECT_EQ(ask("GET", "/api/v1/networks?pageToken=nonsense").status, 400);
}

TEST_F(ObjectsTest, ATokenIsShownOnceAndItsLifeHasBounds) {
    const auto id = make_network(tenant);
    const auto made = make_token(tenant, id, 3);
    EXPECT_TRUE(made.token.starts_with("cvlan_reg_"));
    const auto shown = ask("GET", "/api/v1/tokens/" + made.id);
    EXPECT_EQ(shown.body.find("cvlan_reg_"), std::string::npos);
    EXPECT_EQ(expect<wire::Token>(200, shown).uses_left, 3);
    const auto with = [&](const char* life) {
        return ask("POST", "/api/v1/tokens",
                   fmt::format(R"({{"tenantId":"{}","networkId":"{}","expiresIn":"{}"}})", tenant,
                               id, life))
            .status;
    };
    EXPECT_EQ(with("3600s"), 201);
    for (const char* bad : {"0s", "-1s", "tomorrow", "4000d"}) EXPECT_EQ(with(bad), 400) << bad;
}

TEST_F(ObjectsTest, ATokenForATenantThatIsNotThereNamesNoFileOfThisMachine) {
    const auto id = make_network(tenant);
    const auto asked = [&](const std::string& of) {
        return ask("POST", "/api/v1/tokens",
                   fmt::format(R"({{"tenantId":"{}","networkId":"{}"}})", of, id));
    };
    const std::string stranger = new_uuid(1);
    const auto unknown = expect<wire::Problem>(404, asked(stranger));
    EXPECT_EQ(unknown.detail, "tenant " + stranger + ": not found");
    // Keys that are lost are the operator's trouble, and stand in the log.
    KeyRing damaged(folder + "/keys");
    std::filesystem::remove(folder + "/keys/" + tenant + "/map.key");
    EXPECT_EQ(damaged.of(tenant).error().code, Code::Internal);
}

TEST_F(ObjectsTest, ARenamedNetworkIsHeardOfByItsNodes) {
    const auto id = make_network(tenant);
    const auto node = enrolled(make_token(tenant, id).token, "a");
    const auto full = whole_map(**maps.answer(tenant, node.enrolment.node_id, std::nullopt));
    EXPECT_EQ(ask("PATCH", "/api/v1/networks/" + id, R"({"name":"lan"})").status, 200);
    const auto delta = whole_map(
        **maps.answer(tenant, node.enrolment.node_id, maps::Since{full.epoch, full.revision}));
    ASSERT_EQ(delta.fragments.size(), 1u);
    EXPECT_EQ(fragment_of(delta.fragments[0]).network->name, "lan");
    const auto shown =
        expect<wire::Node>(200, ask("GET", "/api/v1/nodes/" + node.enrolment.node_id));
    EXPECT_EQ(shown.memberships.at(0).network_name, "lan");
    // The same again is no change; a name that is taken or none is refused.
    const auto revision = store->tenant(tenant)->revision;
    EXPECT_EQ(ask("PATCH", "/api/v1/networks/" + id, R"({"name":"lan"})").status, 200);
    EXPECT_EQ(ask("PATCH", "/api/v1/tenants/" + tenant, R"({"name":"acme"})").status, 200);
    EXPECT_EQ(store->tenant(tenant)->revision, revision);
    make_network(tenant, "10.101.0.0/24", "lab");
    EXPECT_EQ(ask("PATCH", "/api/v1/networks/" + id, R"({"name":"lab"})").status, 409);
    EXPECT_EQ(ask("PATCH", "/api/v1/networks/" + id, R"({"name":"-"})").status, 400);
}

TEST_F(ObjectsTest, ANetworksDataPlaneIsHeardOfByItsNodes) {
    const auto made = expect<wire::Network>(
        201, ask("POST", "/api/v1/networks",
                 fmt::format(R"({{"tenantId":"{}","name":"ike","ipv4":"10.102.0.0/24",
                                  "dataPlane":"IPSEC"}})",
                             tenant)));
    EXPECT_EQ(made.data_plane, wire::DataPlane::Ipsec);
    const auto id = make_network(tenant);
    const auto node = enrolled(make_token(tenant, id).token, "a");
    const auto full = whole_map(**maps.answer(tenant, node.enrolment.node_id, std::nullopt));
    const auto changed = expect<wire::Network>(
        200, ask("PATCH", "/api/v1/networks/" + id, R"({"dataPlane":"IPSEC"})"));
    EXPECT_EQ(changed.data_plane, wire::DataPlane::Ipsec);
    EXPECT_EQ(changed.name, expect<wire::Network>(200, ask("GET", "/api/v1/networks/" + id)).name);
    const auto delta = whole_map(
        **maps.answer(tenant, node.enrolment.node_id, maps::Since{full.epoch, full.revision}));
    ASSERT_EQ(delta.fragments.size(), 1u);
    EXPECT_EQ(fragment_of(delta.fragments[0]).network->data_plane, wire::DataPlane::Ipsec);
    // The same again, and nothing at all, are no change; what is no data plane is refused.
    const auto revision = store->tenant(tenant)->revision;
    EXPECT_EQ(ask("PATCH", "/api/v1/networks/" + id, R"({"dataPlane":"IPSEC"})").status, 200);
    EXPECT_EQ(ask("PATCH", "/api/v1/networks/" + id, "{}").status, 200);
    EXPECT_EQ(store->tenant(tenant)->revision, revision);
    EXPECT_EQ(ask("PATCH", "/api/v1/networks/" + id, R"({"dataPlane":"GRE"})").status, 400);
}

TEST_F(ObjectsTest, ATagThatAsksForIpsecIsHeardOfByTheNodesPeers) {
    EXPECT_EQ(
        ask("POST", "/api/v1/tags", fmt::format(R"({{"tenantId":"{}","name":"bank"}})", tenant))
            .status,
        201);
    const auto id = make_network(tenant);
    const auto node = enrolled(make_token(tenant, id).token, "a");
    const auto other = enrolled(make_token(tenant, id).token, "b");
    const std::string path = "/api/v1/networks/" + id;
    const auto changed = expect<wire::Network>(
        200, ask("PATCH", path, R"({"dataPlane":"AUTO","ipsecTags":["bank"]})"));
    EXPECT_EQ(changed.data_plane, wire::DataPlane::Auto);
    EXPECT_EQ(changed.ipsec_tags, std::vector<std::string>{"bank"});
    const auto full = whole_map(**maps.answer(tenant, node.enrolment.node_id, std::nullopt));
    EXPECT_EQ(
        ask("PATCH", "/api/v1/nodes/" + other.enrolment.node_id, R"({"tags":["bank"]})").status,
        200);
    const auto delta = whole_map(
        **maps.answer(tenant, node.enrolment.node_id, maps::Since{full.epoch, full.revision}));
    ASSERT_EQ(delta.fragments.size(), 1u);
    EXPECT_EQ(fragment_of(delta.fragments[0]).peer->data_plane, wire::DataPlane::Ipsec);
    // A list that is left out stays, and one that is empty is none.
    EXPECT_EQ(expect<wire::Network>(200, ask("PATCH", path, R"({"name":"lan"})")).ipsec_tags,
              changed.ipsec_tags);
    EXPECT_TRUE(
        expect<wire::Network>(200, ask("PATCH", path, R"({"ipsecTags":[]})")).ipsec_tags.empty());
}

TEST_F(ObjectsTest, WhatANetworkCanNotDoIsRefusedByTheNameOfTheField) {
    const std::string path = "/api/v1/networks/" + make_network(tenant);
    const auto refused = [&](const char* body, const char* field) {
        const auto answer = ask("PATCH", path, body);
        EXPECT_EQ(answer.status, 400) << answer.body;
        EXPECT_NE(answer.body.find(field), std::string::npos) << answer.body;
    };
    refused(R"({"ipsecTags":["nope"]})", "ipsecTags");
    refused(R"({"cryptoProfile":"FIPS_ALGORITHMS"})", "cryptoProfile");
    refused(R"({"cryptoProfile":"SECRET"})", "cryptoProfile");
    refused(R"({"topology":"STAR"})", "topology");
    refused(R"({"topology":"HUB","dataPlane":"IPSEC"})", "topology");
    EXPECT_EQ(ask("PATCH", path, R"({"topology":"HUB"})").status, 200);
    EXPECT_NE(ask("GET", path).body.find(R"("topology":"HUB")"), std::string::npos);
    EXPECT_EQ(ask("PATCH", path, R"({"topology":"MESH"})").status, 200);
    EXPECT_EQ(
        ask("PATCH", path, R"({"cryptoProfile":"FIPS_ALGORITHMS","dataPlane":"IPSEC"})").status,
        200);
    refused(R"({"dataPlane":"WIREGUARD"})", "dataPlane");
}

TEST_F(ObjectsTest, ATenantIsRenamed) {
    const std::string path = "/api/v1/tenants/" + tenant;
    EXPECT_EQ(expect<wire::Tenant>(200, ask("PATCH", path, R"({"name":"other"})")).name, "other");
    const auto third = make_tenant("third");
    EXPECT_EQ(ask("PATCH", path, R"({"name":"third"})").status, 409);
    EXPECT_EQ(ask("PATCH", path, R"({"name":"a b"})").status, 400);
}

TEST_F(ObjectsTest, ARenamedNodeIsSeenByTheOthers) {
    const auto id = make_network(tenant);
    const auto node = enrolled(make_token(tenant, id).token, "a");
    const auto renamed = expect<wire::Node>(
        200, ask("PATCH", "/api/v1/nodes/" + node.enrolment.node_id, R"({"name":"b"})"));
    EXPECT_EQ(renamed.name, "b");
    std::vector<std::string> names;
    for (const auto& bytes :
         whole_map(**maps.answer(tenant, node.enrolment.node_id, std::nullopt)).fragments)
        if (const auto fragment = fragment_of(bytes); fragment.peer)
            names.push_back(fragment.peer->name);
    EXPECT_EQ(names, std::vector<std::string>{"b"});
    EXPECT_EQ(ask("PATCH", "/api/v1/nodes/" + node.enrolment.node_id, R"({"name":"-b"})").status,
              400);
    EXPECT_EQ(ask("PATCH", "/api/v1/nodes/" + new_uuid(1), R"({"name":"b"})").status, 404);
}

// F14: stored to the letter, or refused; never executed.
TEST_F(ObjectsTest, SqlIsOnlyText) {
    for (const char* sql : {"%27%20OR%201%3D1--", "a%25", "%22%3BDROP%20TABLE%20nodes%3B--", "_"}) {
        const auto list =
            expect<wire::TenantList>(200, ask("GET", fmt::format("/api/v1/tenants?name={}", sql)));
        EXPECT_TRUE(list.tenants.empty()) << sql;
    }
    const auto id = make_network(tenant);
    const auto node = enrolled(make_token(tenant, id).token, "a");
    EXPECT_EQ(ask("PUT", "/api/v1/node/inventory", R"({"hostname":"x'); DROP TABLE nodes;--"})",
                  node.enrolment.certificate)
                  .status,
              204);
    EXPECT_EQ(expect<wire::Node>(200, ask("GET", "/api/v1/nodes/" + node.enrolment.node_id))
                  .inventory->hostname,
              "x'); DROP TABLE nodes;--");
}

TEST_F(ObjectsTest, ServiceRoutesAnswer) {
    EXPECT_EQ(expect<wire::Health>(200, ask("GET", "/health")).status, "ok");
    EXPECT_EQ(ask("GET", "/ready").status, 200);
    context.draining = true;
    EXPECT_EQ(ask("GET", "/ready").status, 503);
    EXPECT_EQ(expect<wire::Version>(200, ask("GET", "/version")).protocol_version, 1);
    const auto discovery = expect<wire::Discovery>(200, ask("GET", "/.well-known/cvlan"));
    EXPECT_TRUE(controller_key.public_key().verify(discovery.signature->payload,
                                                   discovery.signature->signature));
    EXPECT_EQ(discovery.session.at(0), "https://controller.test:8443");
}

}  // namespace
}  // namespace cvlan::api
