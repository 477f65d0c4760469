// SPDX-License-Identifier: Apache-2.0
// Each role on an address and a thread of its own.
#include <gtest/gtest.h>

#include "store/sqlite.h"
#include "tests/daemons/controller/fixture.h"

namespace cvlan::controller {
namespace {

using http::test::RawClient;

struct RolesTest : ControllerTest {
    RolesTest() {
        for (Endpoint* at : {&config.discovery, &config.registration, &config.session})
            *at = {config.api.address, free_port()};
        config.metrics = Endpoint{config.api.address, free_port()};
    }
    static http::ClientOptions to(http::ClientOptions options, const Endpoint& at) {
        options.port = at.port;
        return options;
    }
    http::Response register_node(const pki::TlsKey& key) {
        return ask(to(tls(), config.registration),
                   {"POST", "/api/v1/enrol", {}, encode(enrol_request(key))});
    }
    TestNode registered() {
        const auto key = *pki::TlsKey::generate();
        return {made<wire::Enrolment>(register_node(key)), *key.to_pem()};
    }
    http::Response poll(const TestNode& node, const std::string& target = "/api/v1/node/map") {
        return ask(to(as(node), config.session), {"GET", target});
    }
    http::Response rename(const TestNode& node, const std::string& name) {
        return admin("PATCH", "/api/v1/nodes/" + node.enrolment.node_id,
                     fmt::format(R"({{"name":"{}"}})", name));
    }
    // A poll that is held, and its answer once it came.
    struct Held {
        std::unique_ptr<http::Client> client;
        std::optional<http::Response> answer;
    };
    std::unique_ptr<Held> hold(const TestNode& node, const wire::NodeMap& map) {
        auto held = std::make_unique<Held>();
        held->client = *http::Client::open(loop, to(as(node), config.session));
        held->client->request({"GET", held_since(map)}, [&answer = held->answer](auto got) {
            answer = got.value_or(http::Response{});
        });
        EXPECT_TRUE(
            until([&] { return figures().find("polls_waiting 1\n") != std::string::npos; }));
        return held;
    }
    std::string figures() {
        return raw(RawClient(*config.metrics), "GET /metrics HTTP/1.1\r\nHost: localhost\r\n\r\n");
    }
    bool until(const std::function<bool()>& claim) {
        for (int i = 0; i < 1000 && !claim(); ++i) loop.run_once(std::chrono::milliseconds(10));
        return claim();
    }
};

TEST_F(RolesTest, EachAddressServesItsRoleAlone) {
    start();
    make_token();
    const TestNode node = registered();
    const std::pair<const Endpoint&, const char*> served[] = {
        {config.discovery, "/.well-known/cvlan"},
        {config.registration, "/api/v1/enrol"},
        {config.session, "/api/v1/node/map"},
        {config.api, "/api/v1/tenants"}};
    for (const auto& [at, own] : served)
        for (const auto& [elsewhere, path] : served) {
            const auto answer = ask(to(as(node), at), {"GET", path});
            EXPECT_EQ(answer.status == 404, &at != &elsewhere) << at.text() << " " << path;
        }
}

TEST_F(RolesTest, ANodeHearsWhatOtherThreadsDo) {
    start();
    make_token();
    const TestNode first = registered();
    auto map = map_of(poll(first));
    auto held = hold(first, map);
    registered();
    ASSERT_TRUE(until([&] { return held->answer.has_value(); }));
    map = map_of(*held->answer);
    EXPECT_EQ(map.kind, wire::MapKind::Delta);

    held = hold(first, map);
    EXPECT_EQ(admin("POST", "/api/v1/nodes/" + first.enrolment.node_id + "/revoke").status, 200);
    ASSERT_TRUE(until([&] { return held->answer.has_value(); }));
    EXPECT_EQ(held->answer->status, 403);
}

// The answer to a change comes from one thread, the map with it from another.
TEST_F(RolesTest, APollSeesWhateverWasAcknowledgedBeforeIt) {
    start();
    make_token();
    const TestNode node = registered();
    auto map = map_of(poll(node));
    auto session = *http::Client::open(loop, to(as(node), config.session));
    for (int i = 0; i < 30; ++i) {
        EXPECT_EQ(rename(node, fmt::format("name-{}", i)).status, 200);
        std::optional<http::Response> answer;
        session->request({"GET", since(map)}, [&](auto got) {
            answer = got.value_or(http::Response{});
            loop.stop();
        });
        loop.run();
        ASSERT_EQ(answer->status, 200) << i;
        map = map_of(*answer);
    }
}

// F01, F17: as many connections as an address may have, all silent; and guesses at tokens.
TEST_F(RolesTest, AFloodOfRegistrationsIsHeldBackAndTheNodeGetsItsDelta) {
    config.role_limits[api::Role::Registration] = {.connections = 20, .connections_per_address = 4};
    config.failed_enrolments_per_minute = 3;
    start();
    make_token();
    const TestNode node = registered();
    const auto held = hold(node, map_of(poll(node)));

    const std::string good = token_text;
    token_text = "cvlan_reg_guessed";
    const auto key = *pki::TlsKey::generate();
    std::vector<int> statuses;
    for (int i = 0; i < 5; ++i) statuses.push_back(register_node(key).status);
    EXPECT_EQ(statuses, (std::vector{401, 401, 401, 429, 429}));
    token_text = good;

    std::vector<std::unique_ptr<RawClient>> silent;
    const std::string refused = "connections_refused_total{listener=\"registration\"} ";
    EXPECT_NE(figures().find(refused + "0\n"), std::string::npos);
    ASSERT_TRUE(until([&] {
        silent.push_back(std::make_unique<RawClient>(config.registration));
        return figures().find(refused + "0\n") == std::string::npos;
    }));
    EXPECT_EQ(rename(node, "renamed").status, 200);
    ASSERT_TRUE(until([&] { return held->answer.has_value(); }));
    EXPECT_EQ(map_of(*held->answer).kind, wire::MapKind::Delta);

    silent.clear();
    ASSERT_TRUE(until([&] {
        return figures().find("http_connections{listener=\"registration\"} 0\n") !=
               std::string::npos;
    }));
    registered();  // there is room again
}

// An enrolment that waits for the disk, at the address where nodes poll.
TEST_F(RolesTest, AtOneAddressNoNodeWaitsForAnotherRole) {
    config.discovery = config.registration = config.session = config.api;
    start();
    make_token();
    const TestNode node = enrol();
    const auto map = map_of(ask(as(node), {"GET", "/api/v1/node/map"}));

    const auto disk = *store::SqliteDatabase::open(database_path(config));
    ASSERT_TRUE(disk->begin(store::Access::Write));
    const auto key = *pki::TlsKey::generate();
    const auto newcomer = *http::Client::open(loop, tls());
    std::optional<http::Response> enrolled;
    newcomer->request({"POST", "/api/v1/enrol", {}, encode(enrol_request(key))}, [&](auto got) {
        enrolled = got.value_or(http::Response{});
        loop.stop();
    });
    const std::string under_way =
        "held_requests{listener=\"discovery+registration+session+api\"} 1\n";
    ASSERT_TRUE(until([&] { return figures().find(under_way) != std::string::npos; }));
    EXPECT_EQ(ask(as(node), {"GET", since(map)}).status, 304);
    EXPECT_FALSE(enrolled);
    disk->rollback();
    if (!enrolled) loop.run();
    EXPECT_EQ(enrolled->status, 201) << enrolled->body;
    EXPECT_EQ(map_of(ask(as(node), {"GET", since(map)})).kind, wire::MapKind::Delta);
}

// Where a node can be reached is written to the disk as well, which one node may ask for again and
// again.
TEST_F(RolesTest, NoNodeWaitsForWhatAnotherReports) {
    start();
    make_token();
    const TestNode first = registered();
    const TestNode second = registered();
    const auto map = map_of(poll(first));
    EXPECT_EQ(poll(second).status, 200);

    const auto disk = *store::SqliteDatabase::open(database_path(config));
    const auto reporting = *http::Client::open(loop, to(as(second), config.session));
    std::optional<http::Response> reported;
    wire::EndpointReport report;
    report.networks.push_back({token->claims.network_id, 51820, {"192.0.2.7:51820"}});
    const std::string under_way = "held_requests{listener=\"session\"} 1\n";
    // Who waits for the disk gives up after 5 s: on a slow machine that may be before it is seen.
    for (int tries = 0; tries < 5; ++tries) {
        ASSERT_TRUE(disk->begin(store::Access::Write));
        reported.reset();
        reporting->request({"PUT", "/api/v1/node/endpoints", {}, encode(report)},
                           [&](auto got) { reported = got.value_or(http::Response{}); });
        ASSERT_TRUE(
            until([&] { return reported || figures().find(under_way) != std::string::npos; }));
        if (!reported) break;
        disk->rollback();
    }
    ASSERT_FALSE(reported);
    EXPECT_EQ(ask(to(as(first), config.session), {"GET", since(map)}).status, 304);
    EXPECT_FALSE(reported);
    disk->rollback();
    ASSERT_TRUE(until([&] { return reported.has_value(); }));
    EXPECT_EQ(reported->status, 204) << reported->body;
    EXPECT_EQ(map_of(ask(to(as(first), config.session), {"GET", since(map)})).kind,
              wire::MapKind::Delta);
}

TEST_F(RolesTest, AProcessServesItsOwnRolesAlone) {
    config.roles = {api::Role::Discovery, api::Role::Registration};
    start();
    EXPECT_TRUE(RawClient(config.discovery).is_connected());
    EXPECT_TRUE(RawClient(config.registration).is_connected());
    EXPECT_FALSE(RawClient(config.session).is_connected());
    EXPECT_FALSE(RawClient(config.api).is_connected());
    EXPECT_FALSE(RawClient(config.admin_socket).is_connected());
}

TEST_F(RolesTest, ADrainAnswersWhatIsHeldAndClosesEveryAddress) {
    start();
    make_token();
    const TestNode node = registered();
    const auto held = hold(node, map_of(poll(node)));
    bool is_done = false;
    controller->drain([&] { is_done = true; });
    ASSERT_TRUE(until([&] { return held->answer.has_value(); }));
    EXPECT_EQ(held->answer->status, 304);
    held->client.reset();
    EXPECT_TRUE(until([&] { return is_done; }));
    for (const Endpoint* at :
         {&config.discovery, &config.registration, &config.session, &config.api})
        EXPECT_FALSE(RawClient(*at).is_connected()) << at->text();
    // What it knew of its nodes' use is written: another start finds it.
    controller.reset();
    start();
    EXPECT_EQ(poll(node).status, 200);
}

}  // namespace
}  // namespace cvlan::controller
