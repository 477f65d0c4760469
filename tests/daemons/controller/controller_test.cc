// SPDX-License-Identifier: Apache-2.0
// The whole controller over its own sockets: a unix socket for the operator, TLS for nodes.
#include "daemons/controller/controller.h"

#include <gtest/gtest.h>

#include <filesystem>

#include "base/file.h"
#include "daemons/controller/hosts.h"
#include "pki/imported.h"
#include "tests/daemons/controller/fixture.h"

namespace cvlan::controller {
namespace {

TEST_F(ControllerTest, SetupIsDoneOnceAndRefusesWhatIsNoName) {
    EXPECT_EQ(Controller::start(loop, config, clock).error().code, Code::NotFound);
    EXPECT_EQ(set_up(config, "no name", clock).error().code, Code::Invalid);
    EXPECT_TRUE(*set_up(config, "controller.example.org", clock));
    EXPECT_FALSE(*set_up(config, "another.example.org", clock));
    EXPECT_EQ(load_installation(config)->server_name, "controller.example.org");
}

// Restored without its database, or the volume is not mounted: a new one would tell every node that
// it is deleted.
TEST_F(ControllerTest, NeitherStartNorSetupMakesALostDatabaseAnew) {
    ASSERT_TRUE(set_up(config, "127.0.0.1", clock));
    std::filesystem::remove(database_path(config));
    const auto started = Controller::start(loop, config, clock);
    ASSERT_FALSE(started);
    EXPECT_EQ(started.error().code, Code::NotFound);
    EXPECT_NE(started.error().message.find("controller.db: is missing: restore it"),
              std::string::npos)
        << started.error().message;
    EXPECT_EQ(set_up(config, "127.0.0.1", clock).error().code, Code::NotFound);
    EXPECT_FALSE(std::filesystem::exists(database_path(config)));
}

// F44: keys are never silently made anew.
TEST_F(ControllerTest, SetupReplacesNoKeyThatItCanNotReadAndNoneThatWasLost) {
    ASSERT_TRUE(set_up(config, "127.0.0.1", clock));
    const std::string key = config.state_dir + "/controller.key";
    const std::string before = *read_file(key, 4096);
    std::filesystem::permissions(key, std::filesystem::perms(0644));
    EXPECT_EQ(set_up(config, "127.0.0.1", clock).error().code, Code::Denied);
    EXPECT_EQ(*read_file(key, 4096), before);
    std::filesystem::remove(key);
    EXPECT_EQ(set_up(config, "127.0.0.1", clock).error().code, Code::NotFound);
    EXPECT_FALSE(std::filesystem::exists(key));
    std::filesystem::remove_all(pki_folder(config));
    EXPECT_EQ(set_up(config, "127.0.0.1", clock).error().code, Code::NotFound);
    EXPECT_FALSE(std::filesystem::exists(pki_folder(config) + "/root.pem"));
}

TEST_F(ControllerTest, ASetupThatWasCutOffGoesOn) {
    ASSERT_TRUE(set_up(config, "127.0.0.1", clock));
    std::filesystem::remove(config.state_dir + "/controller.name");
    std::filesystem::remove(config.state_dir + "/controller.key");
    EXPECT_TRUE(*set_up(config, "127.0.0.1", clock));
    std::filesystem::remove(config.state_dir + "/controller.name");
    std::filesystem::remove_all(pki_folder(config));
    EXPECT_TRUE(*set_up(config, "127.0.0.1", clock));
    EXPECT_TRUE(Controller::start(loop, config, clock));
}

// It was off for longer than its intermediate lives; the root's key is here.
TEST_F(ControllerTest, StartsBeyondTheEndOfItsIntermediate) {
    const ManualClock long_ago(clock.now() - std::chrono::hours(24 * 400));
    ASSERT_TRUE(set_up(config, "127.0.0.1", long_ago));
    ASSERT_LT(pki::Authority::open(pki_folder(config))->intermediate_not_after(), clock.now());
    start();
    ASSERT_TRUE(controller);
    EXPECT_GT(pki::Authority::open(pki_folder(config))->intermediate_not_after(), clock.now());
    make_token();
    enrol();
}

// Its node learns the new root with its certificate, before that root signs anything.
TEST_F(ControllerTest, ANodeFollowsItsControllerToACompanysOwnCa) {
    start();
    make_token();
    auto node = enrol();
    const std::string pki = pki_folder(config);
    ASSERT_TRUE(write_durable(folder.file("csr"), *pki::request_intermediate(pki), 0600));
    const std::string commands = fmt::format(
        "cd {} && openssl req -x509 -newkey rsa:2048 -nodes -subj /CN=company -keyout k -out root "
        "2>/dev/null && openssl x509 -req -in csr -CA root -CAkey k -copy_extensions copyall "
        "-days 300 -out ours 2>/dev/null && cat ours root > chain",
        folder.path());
    ASSERT_EQ(std::system(commands.c_str()), 0);
    const auto restart = [&] {
        controller.reset();
        start();
    };
    // openssl's certificate is good from the present second on.
    const auto name =
        pki::import_intermediate(pki, *read_file(folder.file("chain"), 65536), "controller.test",
                                 clock.now() + std::chrono::seconds(1));
    ASSERT_TRUE(name) << name.error().message;
    restart();
    const auto key = *pki::TlsKey::generate();
    const auto renewal =
        made<wire::Renewal>(ask(as(node), {"POST",
                                           "/api/v1/node/certificate",
                                           {},
                                           encode(wire::RenewRequest{*pki::create_csr(key)})}));
    ASSERT_EQ(renewal.trust_bundle.size(), 2u);

    ASSERT_TRUE(pki::use_intermediate(pki, *name));
    restart();
    node = {{}, *key.to_pem()};
    node.enrolment.certificate = renewal.certificate;  // of the former intermediate
    auto options = as(node);
    options.trust = {};
    for (const std::string& root : renewal.trust_bundle) options.trust.ca_pem += root;
    EXPECT_EQ(ask(std::move(options), {"GET", "/api/v1/node/map"}).status, 200);
    // Whoever knows the former root alone sees another controller.
    auto client = *http::Client::open(loop, tls());
    Result<http::Response> refused = http::Response{};
    client->request({"GET", "/health"}, [&](Result<http::Response> got) {
        refused = std::move(got);
        loop.stop();
    });
    loop.run();
    EXPECT_FALSE(refused);
}

TEST_F(ControllerTest, ANodeEnrolsOverTlsByItsTokenAloneAndGetsItsMap) {
    start();
    make_token();
    const auto node = enrol();
    const auto map = map_of(ask(as(node), {"GET", "/api/v1/node/map"}));
    EXPECT_EQ(map.kind, wire::MapKind::Full);
    EXPECT_EQ(map.fragments.size(), 2u);
    // Nothing new, nothing to wait for.
    const auto since = fmt::format("/api/v1/node/map?since={}.{}", map.epoch, map.revision);
    EXPECT_EQ(ask(as(node), {"GET", since}).status, 304);
    EXPECT_EQ(ask(as(node), {"GET", "/api/v1/node/map?since=x"}).status, 400);
    EXPECT_EQ(ask(as(node), {"GET", "/api/v1/node/map?wait=61"}).status, 400);
}

TEST_F(ControllerTest, AHeldPollHearsOfANewNodeAndOfItsOwnRevocation) {
    start();
    make_token();
    const auto first = enrol();
    auto map = map_of(ask(as(first), {"GET", "/api/v1/node/map"}));

    // Another enrols while the poll is held: both requests are under way on one loop.
    const auto other_key = *pki::TlsKey::generate();
    auto registration = *http::Client::open(loop, tls());
    const Timer later = loop.after(std::chrono::milliseconds(20), [&] {
        registration->request({"POST", "/api/v1/enrol", {}, encode(enrol_request(other_key))},
                              [](auto) {});
    });
    map = map_of(ask(as(first), {"GET", held_since(map)}));
    EXPECT_EQ(map.kind, wire::MapKind::Delta);
    EXPECT_EQ(map.fragments.size(), 1u);

    http::ClientOptions operator_options;
    operator_options.unix_path = config.admin_socket;
    auto admin_client = *http::Client::open(loop, std::move(operator_options));
    const Timer revoke = loop.after(std::chrono::milliseconds(20), [&] {
        admin_client->request({"POST", "/api/v1/nodes/" + first.enrolment.node_id + "/revoke"},
                              [](auto) {});
    });
    const auto refused = ask(as(first), {"GET", held_since(map)});
    EXPECT_EQ(refused.status, 403);
    EXPECT_EQ(model::decode<wire::Problem>(refused.body, model::kDocument)->code, "NODE_REVOKED");
}

// A relay goes on forwarding for a node until it hears otherwise.
TEST_F(ControllerTest, ARelayThatWaitsHearsOfARevocationWithinSeconds) {
    start();
    make_token();
    const auto node = enrol();
    const auto relay = enrol_relay();
    const auto map = map_of(ask(as(relay), {"GET", "/api/v1/node/map"}));
    EXPECT_TRUE(map.fragments.empty());

    http::ClientOptions operator_options;
    operator_options.unix_path = config.admin_socket;
    auto admin_client = *http::Client::open(loop, std::move(operator_options));
    std::chrono::steady_clock::time_point asked;
    const Timer revoke = loop.after(std::chrono::milliseconds(20), [&] {
        asked = std::chrono::steady_clock::now();
        admin_client->request({"POST", "/api/v1/nodes/" + node.enrolment.node_id + "/revoke"},
                              [](auto) {});
    });
    const auto told = map_of(ask(as(relay), {"GET", held_since(map)}));
    EXPECT_LT(std::chrono::steady_clock::now() - asked, std::chrono::seconds(5));
    EXPECT_EQ(told.kind, wire::MapKind::Delta);
    ASSERT_EQ(told.fragments.size(), 1u);
    const auto fragment = model::decode<wire::MapFragment>(as_text(told.fragments[0].payload));
    ASSERT_TRUE(fragment && fragment->barred);
    EXPECT_EQ(fragment->barred->node_id, node.enrolment.node_id);
}

// T8: two machines with one identity ended each other's polls with 304, and asked again at once.
TEST_F(ControllerTest, TheNewestPollOfANodeWinsAndTheOneBeforeIsToldSo) {
    start();
    make_token();
    const auto node = enrol();
    const auto map = map_of(ask(as(node), {"GET", "/api/v1/node/map"}));
    std::vector<std::unique_ptr<http::Client>> clients;
    std::vector<std::optional<http::Response>> answers(4);
    testing::internal::CaptureStderr();
    for (size_t i = 0; i < 3; ++i) {
        clients.push_back(*http::Client::open(loop, as(node)));
        clients[i]->request({"GET", held_since(map)},
                            [&, i](auto got) { answers[i] = got.value_or(http::Response{}); });
        // Each is held before the next one comes.
        for (int turn = 0; turn < 20; ++turn) loop.run_once(std::chrono::milliseconds(5));
    }
    const std::string log = testing::internal::GetCapturedStderr();
    for (size_t i = 0; i < 2; ++i) {
        ASSERT_TRUE(answers[i]);
        EXPECT_EQ(answers[i]->status, 409);
        EXPECT_EQ(model::decode<wire::Problem>(answers[i]->body, model::kDocument)->code,
                  "SESSION_REPLACED");
    }
    EXPECT_FALSE(answers[2]);
    // Said once in a minute.
    const size_t said = log.find("event=api.session_replaced");
    ASSERT_NE(said, std::string::npos);
    EXPECT_NE(log.find("node=" + node.enrolment.node_id, said), std::string::npos);
    EXPECT_EQ(log.find("event=api.session_replaced", said + 1), std::string::npos);

    enrol();
    for (int turn = 0; turn < 200 && !answers[2]; ++turn)
        loop.run_once(std::chrono::milliseconds(5));
    ASSERT_TRUE(answers[2]);
    EXPECT_EQ(map_of(*answers[2]).kind, wire::MapKind::Delta);
}

// An agent that drops its connection and asks anew (after a join) is alone with its identity.
TEST_F(ControllerTest, APollWhoseClientHasGoneIsReplacedWithoutAWord) {
    start();
    make_token();
    const auto node = enrol();
    const auto map = map_of(ask(as(node), {"GET", "/api/v1/node/map"}));
    testing::internal::CaptureStderr();
    for (int i = 0; i < 3; ++i) {
        auto client = *http::Client::open(loop, as(node));
        client->request({"GET", held_since(map)}, [](auto) {});
        for (int turn = 0; turn < 20; ++turn) loop.run_once(std::chrono::milliseconds(5));
    }
    const std::string log = testing::internal::GetCapturedStderr();
    EXPECT_EQ(log.find("api.session_replaced"), std::string::npos) << log;
}

TEST_F(ControllerTest, TheOperatorsRoutesAreClosedOverTlsAndUnknownOnesAre404) {
    start();
    make_token();
    EXPECT_EQ(ask(tls(), {"GET", "/api/v1/tenants"}).status, 401);
    EXPECT_EQ(ask(as(enrol()), {"GET", "/api/v1/tenants"}).status, 401);
    EXPECT_EQ(ask(tls(), {"GET", "/api/v1/node/map"}).status, 401);
    EXPECT_EQ(ask(tls(), {"GET", "/health"}).status, 200);
    // F13: another kind of id, upper case, traversal, an escaped slash.
    for (const char* path : {"/api/v1/nodes/..%2f..%2fetc", "/api/v1/nodes/../tenants",
                             "/api/v1/nodes/01A1FACC-A9C4-7B4D-BA5F-917A38212AC9", "/api/v1/nodes/",
                             "/nothing", "/api/v1/nodes/01a1facc-a9c4-7b4d-ba5f-917a38212ac9"})
        EXPECT_EQ(admin("GET", path).status, 404) << path;
    const auto wrong_method = admin("PUT", "/api/v1/tenants");
    EXPECT_EQ(wrong_method.status, 405);
    EXPECT_EQ(*wrong_method.header("Allow"), "GET, POST");
    EXPECT_EQ(admin("GET", "/api/v1/tenants?nonsense=1").status, 400);
    EXPECT_EQ(admin("POST", "/api/v1/tenants", "{\"name\":\"a\",\"name\":\"b\"}").status, 400);
}

// I15: a page whose name was pointed at the controller's address gets nothing.
TEST_F(ControllerTest, OnlyItsOwnNamesAreServedOnEachListener) {
    config.metrics = Endpoint{*Address::parse("127.0.0.1"), free_port()};
    start();
    make_token();
    const auto metrics = [&](const std::string& host) {
        return raw(http::test::RawClient(*config.metrics),
                   "GET /metrics HTTP/1.1\r\nHost: " + host + "\r\n\r\n");
    };
    for (const char* host : {"localhost:9464", "127.0.0.1", "[::1]:1"})
        EXPECT_EQ(http::test::status_of(metrics(host)), 200) << host;
    const std::string shown = metrics("localhost");
    EXPECT_NE(shown.find("\ncvlan_controller_store_commits_total "), std::string::npos) << shown;
    EXPECT_NE(shown.find("X-Content-Type-Options: nosniff\r\n"), std::string::npos) << shown;
    EXPECT_EQ(http::test::status_of(metrics("rebound.example")), 421);

    const auto on_socket = [&](const std::string& host) {
        return http::test::status_of(raw(http::test::RawClient(config.admin_socket),
                                         "GET /health HTTP/1.1\r\nHost: " + host + "\r\n\r\n"));
    };
    EXPECT_EQ(on_socket("localhost"), 200);
    EXPECT_EQ(on_socket("rebound.example"), 421);
}

TEST(ControllerHosts, AreTheServersNameAndWhereItListens) {
    const auto at = [](const char* text) { return *Endpoint::parse(text); };
    using Hosts = std::vector<std::string>;
    EXPECT_EQ(hosts_at("ctl.example", at("[::]:8443")), Hosts{"ctl.example"});
    EXPECT_EQ(hosts_at("ctl.example", at("192.0.2.1:8443")), (Hosts{"ctl.example", "192.0.2.1"}));
    EXPECT_EQ(hosts_at("2001:DB8::1", at("0.0.0.0:1")), (Hosts{"[2001:DB8::1]", "[2001:db8::1]"}));
    EXPECT_EQ(local_hosts(at("127.0.0.2:1")),
              (Hosts{"localhost", "127.0.0.1", "[::1]", "127.0.0.2"}));
}

// F27
TEST(ControllerHosts, OwnAddressesAreThoseOfItsNameAndItsListeners) {
    ControllerConfig config;
    config.discovery = config.registration = config.api = *Endpoint::parse("[::]:8443");
    config.session = *Endpoint::parse("192.0.2.7:8443");
    const auto listed = *Address::parse("192.0.2.7");
    EXPECT_EQ(own_addresses("192.0.2.1", config),
              (std::vector{*Address::parse("192.0.2.1"), listed}));
    EXPECT_EQ(own_addresses(std::string(70, 'x'), config), std::vector{listed});
    const auto local = own_addresses("localhost", config);
    EXPECT_NE(std::find(local.begin(), local.end(), *Address::parse("127.0.0.1")), local.end());
}

// F18: what proxies say of a client has no meaning here.
TEST_F(ControllerTest, ProxyHeadersChangeNothing) {
    start();
    make_token();
    http::ClientRequest request{"GET", "/api/v1/tenants"};
    request.headers = {{"X-Forwarded-For", "127.0.0.1"},
                       {"Forwarded", "for=127.0.0.1"},
                       {"X-SSL-Client-Verify", "SUCCESS"},
                       {"X-HTTP-Method-Override", "DELETE"},
                       {"X-Tenant", token->claims.tenant_id}};
    EXPECT_EQ(ask(tls(), std::move(request)).status, 401);
}

// A ClientHello of nothing is answered by an alert, where TLS comes to see it.
TEST_F(ControllerTest, AListedBalancerHasToSayWhoseConnectionItIs) {
    config.proxies[api::Role::Session] = {*Prefix::parse("127.0.0.0/8")};
    start();
    const std::string hello("\x16\x03\x01\0\x04\x01\0\0\0", 9);
    const auto answer = [&](const std::string& bytes) {
        return raw(http::test::RawClient(config.api), bytes);
    };
    EXPECT_EQ(answer("PROXY UNKNOWN\r\n" + hello).substr(0, 1), "\x15");
    EXPECT_EQ(answer(hello), "");
}

TEST_F(ControllerTest, ARestartedControllerKnowsItsNodesAndTheirMaps) {
    start();
    make_token();
    const auto node = enrol();
    const auto before = map_of(ask(as(node), {"GET", "/api/v1/node/map"}));
    controller->drain([this] { loop.stop(); });
    loop.run();
    controller.reset();
    start();
    const auto after = map_of(ask(as(node), {"GET", "/api/v1/node/map"}));
    EXPECT_EQ(after.epoch, before.epoch);
    EXPECT_GE(after.revision, before.revision);
    EXPECT_EQ(after.fragments.size(), before.fragments.size());
}

TEST(ControllerConfigTest, FaultsNameFileLineAndCause) {
    test::TempDir folder;
    const auto load = [&](const std::string& text) {
        const std::string path = folder.path() + "/c.toml";
        EXPECT_TRUE(write_durable(path, text, 0600));
        auto config = load_config(path);
        return config ? std::string("good") : config.error().message.substr(path.size());
    };
    EXPECT_EQ(load("[listen]\napi = '127.0.0.1:8443'\nsession = '[::1]:8444'\nmetrics = "
                   "'127.0.0.1:9464'\n"),
              "good");
    EXPECT_EQ(load("state_dir = 'x'\n"), ":1:13: state_dir must be an absolute path");
    EXPECT_EQ(load("stat_dir = '/x'\n"), ":1:1: unknown key 'stat_dir'");
    EXPECT_EQ(load("[listen]\napi = 'x'\n").substr(0, 16), ":2:7: listen.api");
    EXPECT_EQ(load("[listen]\nmetrics = '192.0.2.1:1'\n"),
              ":2:11: listen.metrics must be a loopback address");
    EXPECT_EQ(load("log_level = 'loud'\n").substr(0, 16), ":1:13: log_level");
    EXPECT_EQ(load("admin_group = 'no-such-group'\n"),
              ":1:15: admin_group names no group of this machine: 'no-such-group'");
    EXPECT_EQ(load("roles = ['sessions']\n"),
              ":1:9: roles may hold discovery, registration, session and api");
    EXPECT_EQ(load("roles = []\n"), ":1:9: roles must hold one at least");
    EXPECT_EQ(load("[limits]\nconnections = 0\n").substr(0, 24), ":2:15: limits.connection");
    EXPECT_EQ(load("[proxy_protocol_from]\nsession = ['192.0.2.1/24']\n").substr(0, 34),
              ":2:11: proxy_protocol_from.session");
    const auto printed = print_config(ControllerConfig{});
    EXPECT_NE(printed.find("state_dir = '/var/lib/cvlan-controller'"), std::string::npos);
}

// Every key has a value that is not its default.
TEST(ControllerConfigTest, WhatIsPrintedSaysTheSame) {
    test::TempDir folder;
    const std::string path = folder.path() + "/c.toml";
    const std::string wanted =
        "state_dir = '/srv/state'\nadmin_socket = '/srv/socket'\nadmin_group = 'root'\n"
        "server_name = 'controller.test'\nlog_level = 'warn'\nroles = ['session', 'api']\n\n"
        "[listen]\ndiscovery = '127.0.0.1:1'\nregistration = '127.0.0.1:2'\n"
        "session = '127.0.0.1:3'\napi = '127.0.0.1:4'\nmetrics = '127.0.0.1:5'\n\n"
        "[limits]\nconnections = 6\nconnections_per_address = 7\n"
        "failed_enrolments_per_minute = 8\n\n"
        "[webhooks]\nallowed_prefixes = ['192.0.2.0/24', 'fd00::/8']\n\n"
        "[audit]\nkeep_days = 9\n\n"
        "[database]\nurl = 'postgres://db.test/cvlan'\npassword_file = '/srv/password'\n\n"
        "[limits.session]\nconnections = 10\nconnections_per_address = 11\n\n"
        "[proxy_protocol_from]\nsession = ['198.51.100.0/24']\n";
    ASSERT_TRUE(write_durable(path, wanted, 0600));
    const auto config = load_config(path);
    ASSERT_TRUE(config) << config.error().message;
    EXPECT_EQ(print_config(*config), wanted);
}

TEST(ControllerConfigTest, AListenerHasItsRolesAndTheHighestOfTheirLimits) {
    test::TempDir folder;
    const std::string path = folder.path() + "/c.toml";
    ASSERT_TRUE(write_durable(path,
                              "roles = ['session', 'registration', 'api']\n[listen]\n"
                              "session = '[::]:8444'\n[limits]\nconnections = 100\n"
                              "[limits.registration]\nconnections = 300\n"
                              "connections_per_address = 7\n[limits.session]\nconnections = 5\n",
                              0600));
    const auto config = load_config(path);
    ASSERT_TRUE(config) << config.error().message;
    const auto listeners = listeners_of(*config);
    ASSERT_EQ(listeners.size(), 2u);
    const ListenerConfig& shared = listeners.at(config->api);
    EXPECT_EQ(shared.roles, (api::Roles{api::Role::Registration, api::Role::Api}));
    EXPECT_EQ(shared.limits.connections, 300u);
    EXPECT_EQ(shared.limits.connections_per_address, 2000u);
    EXPECT_EQ(listeners.at(config->session).limits.connections, 5u);
    EXPECT_NE(print_config(*config).find("roles = ['registration', 'session', 'api']\n"),
              std::string::npos);
    EXPECT_NE(print_config(*config).find("[limits.session]\nconnections = 5\n"), std::string::npos);
}

TEST(ControllerConfigTest, BalancersAreThoseOfAListenersRoles) {
    test::TempDir folder;
    const std::string path = folder.path() + "/c.toml";
    ASSERT_TRUE(write_durable(path,
                              "[listen]\nsession = '[::]:8444'\n[proxy_protocol_from]\n"
                              "session = ['192.0.2.0/24']\napi = ['198.51.100.1/32']\n"
                              "discovery = ['198.51.100.2/32', '198.51.100.1/32']\n",
                              0600));
    const auto config = load_config(path);
    ASSERT_TRUE(config) << config.error().message;
    const auto listeners = listeners_of(*config);
    ASSERT_EQ(listeners.size(), 2u);
    EXPECT_EQ(listeners.at(config->session).proxies.size(), 1u);
    EXPECT_EQ(listeners.at(config->api).proxies.size(), 3u);
    EXPECT_NE(print_config(*config).find("[proxy_protocol_from]\ndiscovery = ['198.51.100.2/32', "
                                         "'198.51.100.1/32']\nsession = "),
              std::string::npos)
        << print_config(*config);
}

}  // namespace
}  // namespace cvlan::controller
