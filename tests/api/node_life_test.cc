// SPDX-License-Identifier: Apache-2.0
// Nodes that wait for approval, of a suspended tenant, with tags, or that are no agent.
#include "api/tagging.h"
#include "tests/api/fixture.h"

namespace cvlan::api {
namespace {

namespace wire = model::wire;

struct NodeLifeTest : ApiTest {
    std::string tenant = make_tenant();
    std::string network = make_network(tenant);

    TestNode new_one(const std::string& name) {
        return enrolled(make_token(tenant, network).token, name);
    }
    static std::string path_of(const TestNode& node) {
        return "/api/v1/nodes/" + node.enrolment.node_id;
    }
    wire::Node shown(const TestNode& node) {
        return expect<wire::Node>(200, ask("GET", path_of(node)));
    }
    http::Response poll(const TestNode& node) {
        return ask("GET", "/api/v1/node/map", "", node.enrolment.certificate);
    }
    // Names of the peers in the node's full map.
    std::set<std::string> peers_of(const TestNode& node) {
        const auto answer = poll(node);
        EXPECT_EQ(answer.status, 200) << answer.body;
        std::set<std::string> names;
        if (answer.status != 200) return names;
        for (const auto& fragment : whole_map(answer).fragments)
            if (const auto read = fragment_of(fragment); read.peer) names.insert(read.peer->name);
        return names;
    }
    http::Response external(const std::string& name, const std::string& key) {
        return ask("POST", "/api/v1/nodes/external",
                   fmt::format(R"({{"tenantId":"{}","name":"{}","networkId":"{}",)"
                               R"("wireguardPublicKey":"{}"}})",
                               tenant, name, network, key));
    }
    using Names = std::set<std::string>;
};

TEST_F(NodeLifeTest, ADeviceThatWaitsForApprovalIsInNobodysMapAndSeesNobody) {
    const auto old = new_one("old");
    ASSERT_EQ(ask_if("*", "PUT", "/api/v1/settings?tenant=" + tenant, R"({"deviceApproval":true})")
                  .status,
              200);
    const auto fresh = new_one("fresh");
    EXPECT_EQ(shown(fresh).state, wire::NodeState::Pending);
    EXPECT_EQ(peers_of(old), Names{"old"});
    EXPECT_EQ(peers_of(fresh), Names{});
    const auto waiting =
        expect<wire::NodeList>(200, ask("GET", "/api/v1/nodes?state=PENDING&tenant=" + tenant));
    ASSERT_EQ(waiting.nodes.size(), 1u);
    EXPECT_EQ(waiting.nodes[0].name, "fresh");
    ASSERT_EQ(ask("POST", path_of(fresh) + "/approve").status, 200);
    EXPECT_EQ(peers_of(old), (Names{"fresh", "old"}));
    EXPECT_EQ(peers_of(fresh), (Names{"fresh", "old"}));
}

// After a restart the maps come from the database.
TEST_F(NodeLifeTest, ADeviceThatWaitsForApprovalIsInNobodysMapAfterARestartEither) {
    const auto old = new_one("old");
    ASSERT_EQ(ask_if("*", "PUT", "/api/v1/settings?tenant=" + tenant, R"({"deviceApproval":true})")
                  .status,
              200);
    const auto fresh = new_one("fresh");
    maps.load(tenant, store->epoch(), *store->map_inputs(tenant));
    EXPECT_EQ(peers_of(old), Names{"old"});
    EXPECT_EQ(peers_of(fresh), Names{});
}

TEST_F(NodeLifeTest, TheNodesOfASuspendedTenantAreRefusedUntilItIsResumed) {
    const auto node = new_one("a");
    EXPECT_EQ(poll(node).status, 200);
    EXPECT_TRUE(expect<wire::Tenant>(200, ask("POST", "/api/v1/tenants/" + tenant + "/suspend"))
                    .suspended.value_or(false));
    EXPECT_EQ(poll(node).status, 403);
    EXPECT_EQ(code_of(poll(node)), "TENANT_SUSPENDED");
    EXPECT_EQ(code_of(enrol(new_node(), make_token(tenant, network).token, "b")),
              "TENANT_SUSPENDED");
    const auto other = make_tenant("other");
    const auto elsewhere = enrolled(make_token(other, make_network(other)).token, "c");
    EXPECT_EQ(poll(elsewhere).status, 200);
    ASSERT_EQ(ask("POST", "/api/v1/tenants/" + tenant + "/resume").status, 200);
    EXPECT_EQ(poll(node).status, 200);
}

TEST_F(NodeLifeTest, UsageAndQuotasAreShown) {
    new_one("a");
    const std::string path = "/api/v1/tenants/" + tenant;
    ASSERT_EQ(ask("PATCH", path, R"({"quotas":{"maxNodes":1}})").status, 200);
    const auto usage = expect<wire::TenantUsage>(200, ask("GET", path + "/usage"));
    EXPECT_EQ(usage.networks, 1);
    EXPECT_EQ(usage.nodes.active, 1);
    EXPECT_EQ(usage.quotas->max_nodes, 1);
    const auto refused = enrol(new_node(), make_token(tenant, network).token, "b");
    EXPECT_EQ(refused.status, 409);
    EXPECT_EQ(code_of(refused), "QUOTA_EXCEEDED");
}

TEST_F(NodeLifeTest, ANodesTagsAreThoseThatAnAdministratorGaveIt) {
    ASSERT_EQ(
        ask("POST", "/api/v1/tags", fmt::format(R"({{"tenantId":"{}","name":"web"}})", tenant))
            .status,
        201);
    const auto node = new_one("a");
    EXPECT_EQ(ask("PATCH", path_of(node), R"({"tags":["nope"]})").status, 400);
    EXPECT_EQ(expect<wire::Node>(200, ask("PATCH", path_of(node), R"({"tags":["web"]})")).tags,
              std::vector<std::string>{"web"});
    EXPECT_EQ(expect<wire::NodeList>(200, ask("GET", "/api/v1/nodes?tag=web")).nodes.size(), 1u);
    // Absent is as it was, empty is none.
    EXPECT_EQ(expect<wire::Node>(200, ask("PATCH", path_of(node), R"({"name":"b"})")).tags.size(),
              1u);
    EXPECT_TRUE(
        expect<wire::Node>(200, ask("PATCH", path_of(node), R"({"tags":[]})")).tags.empty());
}

// Rules are written for tags: who may not give one must not get one either.
TEST_F(NodeLifeTest, ATagIsGivenByAnAdministratorOrByAUserWhoOwnsIt) {
    using model::TenantRole;
    const auto user = [&](const std::string& name) {
        return store->accounts()
            .create({}, {tenant, model::AccountKind::User, name, TenantRole::Member, {}})
            ->id;
    };
    const std::string anna = user("anna@example.com");
    const std::string bert = user("bert@example.com");
    model::Object group{tenant, {}, model::ObjectKind::Group, "ops", ""};
    group.links[model::Relation::MemberUser] = {bert};
    model::Object tag{tenant, {}, model::ObjectKind::Tag, "web", ""};
    tag.links[model::Relation::OwnerUser] = {anna};
    tag.links[model::Relation::OwnerGroup] = {store->objects().create(group)->id};
    ASSERT_TRUE(store->objects().create(tag));
    ASSERT_TRUE(store->objects().create({tenant, {}, model::ObjectKind::Tag, "db", ""}));

    const auto may = [&](const std::string& actor, TenantRole role, const std::string& name) {
        return check_may_tag(*store, {actor, tenant, role}, tenant, {name}).has_value();
    };
    EXPECT_TRUE(may("user:" + new_uuid(1), TenantRole::Admin, "db"));
    EXPECT_TRUE(may("user:" + anna, TenantRole::Member, "web"));
    EXPECT_TRUE(may("user:" + bert, TenantRole::Member, "web"));
    EXPECT_FALSE(may("user:" + anna, TenantRole::Member, "db"));
    EXPECT_FALSE(may("user:" + new_uuid(1), TenantRole::Member, "web"));
    EXPECT_FALSE(may("service-account:" + anna, TenantRole::Member, "web"));
    EXPECT_FALSE(may("user:" + anna, TenantRole::Member, "absent"));
    EXPECT_FALSE(check_may_tag(*store, {}, tenant, {"web"})) << "the zero identity gives none";
    EXPECT_EQ(difference({"a", "b"}, {"b", "c"}), (std::vector<std::string>{"a", "c"}));
}

TEST_F(NodeLifeTest, ATokenMakesEphemeralNodesWithItsTags) {
    ASSERT_EQ(ask("POST", "/api/v1/tags", fmt::format(R"({{"tenantId":"{}","name":"ci"}})", tenant))
                  .status,
              201);
    const auto with = [&](const char* span) {
        return ask("POST", "/api/v1/tokens",
                   fmt::format(R"({{"tenantId":"{}","networkId":"{}","tags":["ci"],)"
                               R"("ephemeralAfter":"{}"}})",
                               tenant, network, span));
    };
    EXPECT_EQ(with("4m").status, 400) << "a node is noted as seen once a minute";
    const auto made = expect<wire::TokenCreated>(201, with("600s"));
    EXPECT_EQ(made.record->ephemeral_after, "10m");
    EXPECT_EQ(made.record->state, wire::TokenState::Usable);
    const auto node = shown(enrolled(made.token, "runner"));
    EXPECT_EQ(node.ephemeral_after, "10m");
    EXPECT_EQ(node.tags, std::vector<std::string>{"ci"});
}

TEST_F(NodeLifeTest, AnExternalNodeIsAPeerOfTheOthersAndGetsAFileForWgQuick) {
    const auto server = new_one("server");
    const auto silent = new_one("silent");
    store::NodeEndpoints report{
        network,
        51820,
        {*Endpoint::parse("10.9.9.9:51820"), *Endpoint::parse("[2001:db8::7]:51820"),
         *Endpoint::parse("192.0.2.7:51820")}};
    ASSERT_TRUE(store->set_endpoints({tenant, server.enrolment.node_id}, report));
    ASSERT_TRUE(store->set_endpoints({tenant, silent.enrolment.node_id}, {network, 0, {}}));

    const std::string key = base64(random_bytes(32));
    const auto phone = expect<wire::Node>(201, external("phone", key));
    EXPECT_TRUE(phone.external.value_or(false));
    EXPECT_FALSE(phone.certificate_expires_at);
    EXPECT_EQ(peers_of(server), (Names{"phone", "server", "silent"}));

    const auto config = expect<wire::WireguardConfig>(
                            200, ask("GET", "/api/v1/nodes/" + phone.id + "/wireguard-config"))
                            .config;
    const auto has = [&](const std::string& line) {
        return config.find("\n" + line + "\n") != std::string::npos;
    };
    EXPECT_TRUE(has(fmt::format("Address = {}/32, {}/128", phone.memberships[0].addresses[0],
                                phone.memberships[0].addresses[1])))
        << config;
    EXPECT_TRUE(has("PublicKey = " + server.wireguard_key)) << config;
    EXPECT_TRUE(has("Endpoint = 192.0.2.7:51820")) << config;
    EXPECT_EQ(config.find(silent.wireguard_key), std::string::npos) << "nobody can reach it";
    EXPECT_EQ(config.find("PrivateKey"), std::string::npos);
    EXPECT_EQ(ask("GET", path_of(server) + "/wireguard-config").status, 409);

    EXPECT_EQ(external("copy", key).status, 409);
    EXPECT_EQ(external("bad", base64(Bytes(32, 0))).status, 400) << "a point of low order";
    ASSERT_EQ(ask("DELETE", "/api/v1/nodes/" + phone.id).status, 204);
    EXPECT_EQ(peers_of(server), (Names{"server", "silent"}));
}

TEST_F(NodeLifeTest, AnExternalNodeInAHubSpeaksWithTheVrouterAlone) {
    const auto server = new_one("server");
    const auto token = expect<wire::TokenCreated>(
        201, ask("POST", "/api/v1/tokens",
                 fmt::format(R"({{"tenantId":"{}","networkId":"{}","role":"VROUTER"}})", tenant,
                             network)));
    const auto gateway = enrolled(token.token, "gw");
    for (const auto* node : {&server, &gateway})
        ASSERT_TRUE(store->set_endpoints({tenant, node->enrolment.node_id},
                                         {network, 51820, {*Endpoint::parse("192.0.2.7:51820")}}));
    ASSERT_EQ(ask("POST", "/api/v1/vrouters",
                  fmt::format(R"({{"tenantId":"{}","name":"gw","nodeId":"{}",)"
                              R"("networkIds":["{}"],"routes":["192.168.7.0/24"]}})",
                              tenant, gateway.enrolment.node_id, network))
                  .status,
              201);
    const auto phone = expect<wire::Node>(201, external("phone", base64(random_bytes(32))));
    const auto config = [&] {
        return expect<wire::WireguardConfig>(
                   200, ask("GET", "/api/v1/nodes/" + phone.id + "/wireguard-config"))
            .config;
    };
    EXPECT_NE(config().find(server.wireguard_key), std::string::npos);
    EXPECT_NE(config().find(", 192.168.7.0/24\n"), std::string::npos) << config();
    ASSERT_EQ(ask("PATCH", "/api/v1/networks/" + network, R"({"topology":"HUB"})").status, 200);
    EXPECT_EQ(config().find(server.wireguard_key), std::string::npos) << "it has no tunnel with it";
    EXPECT_NE(config().find("/128, 10.100.0.0/24, fd"), std::string::npos) << config();
    EXPECT_NE(config().find("/64, 192.168.7.0/24\n"), std::string::npos) << config();
}

// F26: what a node is and where it leads is said by administrators, never by the node.
TEST_F(NodeLifeTest, ANodeGivesItselfNeitherTagsNorRoutes) {
    ASSERT_EQ(
        ask("POST", "/api/v1/tags", fmt::format(R"({{"tenantId":"{}","name":"web"}})", tenant))
            .status,
        201);
    const auto other = new_one("other");
    const auto token = make_token(tenant, network).token;
    const auto node = new_node();
    for (const char* forged :
         {R"("tags":["web"])", R"("routes":["0.0.0.0/0"])",
          R"("advertisedRoutes":["10.100.0.0/24"])", R"("addresses":["10.100.0.1"])",
          R"("role":"VROUTER")", R"("approved":true)"}) {
        std::string body = encode(enrol_request(node, token, "node"));
        body.insert(1, std::string(forged) + ",");
        EXPECT_EQ(ask("POST", "/api/v1/enrol", body).status, 400) << forged;
    }
    // The token is unspent, and a capability is only a word.
    auto request = enrol_request(node, token, "node");
    request.capabilities = std::vector<std::string>{"tag:web", "route:0.0.0.0/0"};
    TestNode come = new_node();
    const auto enrolment =
        expect<wire::Enrolment>(201, ask("POST", "/api/v1/enrol", encode(request)));
    come.enrolment = enrolment;
    EXPECT_TRUE(shown(come).tags.empty());
    EXPECT_EQ(shown(come).role, wire::TokenRole::Node);
    const std::string& certificate = enrolment.certificate;
    const auto report = [&](const std::string& path, const std::string& body) {
        return ask("PUT", path, body, certificate).status;
    };
    EXPECT_EQ(report("/api/v1/node/inventory", R"({"hostname":"h","tags":["web"]})"), 400);
    const std::string at =
        fmt::format(R"({{"networkId":"{}","listenPort":1,"endpoints":)", network);
    EXPECT_EQ(report("/api/v1/node/endpoints", at + R"(["0.0.0.0/0"]})"), 400);
    EXPECT_EQ(report("/api/v1/node/endpoints", at + R"([],"routes":["0.0.0.0/0"]})"), 400);
    EXPECT_EQ(ask("PATCH", path_of(come), R"({"tags":["web"]})", certificate).status, 401);
    for (const auto& bytes : whole_map(poll(other)).fragments)
        EXPECT_EQ(as_text(bytes.payload).find("0.0.0.0/0"), std::string::npos);
}

}  // namespace
}  // namespace cvlan::api
