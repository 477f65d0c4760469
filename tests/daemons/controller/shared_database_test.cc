// SPDX-License-Identifier: Apache-2.0
// Two cvlan-controllers, as processes, on one PostgreSQL server: what one changes reaches a node
// that waits at the other, the end of one loses nothing, and one that stood still for longer than
// its lease writes nothing for the job that the other took over.
#include <gtest/gtest.h>
#include <poll.h>

#include <algorithm>
#include <set>

#include "base/event_loop.h"
#include "base/file.h"
#include "base/unique_fd.h"
#include "http/client.h"
#include "model/wire.h"
#include "pki/csr.h"
#include "pki/token.h"
#include "store/postgres_upkeep.h"
#include "tests/daemons/controller/ask.h"
#include "tests/http/raw_client.h"
#include "tests/support/free_port.h"
#include "tests/support/postgres_server.h"
#include "tests/support/process.h"

namespace cvlan::controller {
namespace {

namespace wire = model::wire;

// To whom webhooks are sent: it takes connections, and answers none.
struct SilentReceiver {
    const uint16_t port = test::free_port();
    const UniqueFd fd{socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)};

    SilentReceiver() {
        sockaddr_in address{};
        address.sin_family = AF_INET;
        address.sin_port = htons(port);
        address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
        EXPECT_EQ(bind(fd.get(), reinterpret_cast<sockaddr*>(&address), sizeof address), 0);
        EXPECT_EQ(listen(fd.get(), 8), 0);
    }
    UniqueFd accept() const {
        pollfd ready{fd.get(), POLLIN, 0};
        EXPECT_EQ(::poll(&ready, 1, 60'000), 1);
        return UniqueFd(::accept4(fd.get(), nullptr, nullptr, SOCK_CLOEXEC));
    }
};

// One of the two; they have the keys in common, and nothing else but the database.
struct RunningController {
    std::string socket;
    std::string log;
    uint16_t port = 0;
    uint16_t metrics = 0;
    std::unique_ptr<test::Process> process;
};

struct SharedDatabaseTest : testing::Test {
    test::TempDir folder;
    EventLoop loop;
    std::string url =
        test::PostgresServer::instance().url(test::PostgresServer::instance().new_schema());
    std::unique_ptr<store::PostgresDatabase> database =
        std::move(*store::PostgresDatabase::open({url, {}}));
    RunningController one, two;
    std::string tenant, network, token_text;
    std::optional<pki::UnverifiedToken> token;
    std::vector<std::unique_ptr<http::Client>> changing;  // those of changes under way

    SharedDatabaseTest() {
        begin(one, "one");
        begin(two, "two");
        tenant = made<wire::Tenant>(admin(one, "POST", "tenants", R"({"name":"acme"})")).id;
        const auto wanted =
            fmt::format(R"({{"tenantId":"{}","name":"lan","ipv4":"10.1.0.0/24"}})", tenant);
        network = made<wire::Network>(admin(one, "POST", "networks", wanted)).id;
        token_text = made<wire::TokenCreated>(
                         admin(two, "POST", "tokens",
                               fmt::format(R"({{"tenantId":"{}","networkId":"{}","uses":9}})",
                                           tenant, network)))
                         .token;
        token = *pki::parse_token(token_text);
    }
    ~SharedDatabaseTest() override {
        for (RunningController* each : {&one, &two})
            if (each->process) end(*each, SIGTERM);
    }

    static std::string pid_of(const RunningController& controller) {
        return fmt::format("127.0.0.1:{}", controller.process->pid());
    }
    // Who is at the webhooks, by the database.
    struct Leased {
        std::string holder;
        int64_t number = 0;
        bool operator==(const Leased&) const = default;
    };
    Leased leased() const {
        store::Statement row =
            database->sql("SELECT holder, lease FROM jobs WHERE name = 'webhooks'");
        EXPECT_TRUE(row.next());
        return {row.text(0), row.integer(1)};
    }
    int64_t attempts() const {
        store::Statement row = database->sql("SELECT attempts FROM webhooks");
        EXPECT_TRUE(row.next());
        return row.integer(0);
    }
    // Whoever stands still in the middle of a write keeps all others from theirs for 10 s: the jobs
    // of a first start are to be over.
    void wait_for_first_jobs() const {
        const auto left = [&] {
            store::Statement row = database->sql(
                "SELECT count(*) FROM jobs WHERE finished_at IS NULL AND name NOT IN ('webhooks', "
                "'node-lifetimes')");
            EXPECT_TRUE(row.next());
            return row.integer(0);
        };
        while (left() > 0) ::usleep(10'000);
    }
    static void wait_for_log(const RunningController& controller, const std::string& text) {
        while (read_file(controller.log, 1'000'000)->find(text) == std::string::npos)
            ::usleep(10'000);
    }

    void begin(RunningController& controller, const std::string& name) {
        controller.log = folder.file(name + ".log");
        controller.socket = folder.file(name + ".sock");
        controller.port = test::free_port();
        controller.metrics = test::free_port();
        (void)::unlink(controller.socket.c_str());  // of one that was killed
        const std::string config = folder.file(name + ".toml");
        ASSERT_TRUE(write_durable(
            config,
            fmt::format("state_dir = '{}'\nadmin_socket = '{}'\n[listen]\napi = '127.0.0.1:{}'\n"
                        "metrics = '127.0.0.1:{}'\n[database]\nurl = '{}'\n"
                        "[webhooks]\nallowed_prefixes = ['127.0.0.0/8']\n",
                        folder.file("state"), controller.socket, controller.port,
                        controller.metrics, url),
            0600));
        test::Process setup("cvlan-controller",
                            {"setup", "--config", config, "--server-name", "127.0.0.1"}, 2,
                            controller.log);
        ASSERT_EQ(setup.wait(), 0) << *read_file(controller.log, 100'000);
        controller.process = std::make_unique<test::Process>(
            "cvlan-controller", std::vector<std::string>{"--config", config}, 2, controller.log);
        while (::access(controller.socket.c_str(), F_OK) != 0) {
            ASSERT_FALSE(controller.process->has_ended()) << *read_file(controller.log, 100'000);
            ::usleep(10'000);
        }
    }
    static void end(RunningController& controller, int signal) {
        controller.process->signal(signal);
        (void)controller.process->wait();
        controller.process.reset();
    }

    http::Response ask(http::ClientOptions options, http::ClientRequest request) {
        return controller::ask(loop, std::move(options), std::move(request));
    }
    static bool has_held(const RunningController& controller) {
        http::test::RawClient client(Endpoint{*Address::parse("127.0.0.1"), controller.metrics});
        client.send("GET /metrics HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n");
        return client.message().find("\ncvlan_controller_polls_waiting 1\n") != std::string::npos;
    }
    // Runs `then` once a node's poll is held at the controller.
    Timer once_held(const RunningController& controller, std::function<void()> then) {
        return loop.every(std::chrono::milliseconds(10),
                          [&controller, then = std::move(then)]() mutable {
                              if (!then || !has_held(controller)) return;
                              std::exchange(then, nullptr)();
                          });
    }
    http::Response admin(const RunningController& controller, const std::string& method,
                         const std::string& target, std::string body = "") {
        http::ClientOptions options;
        options.unix_path = controller.socket;
        return ask(std::move(options), {method, "/api/v1/" + target, {}, std::move(body)});
    }
    http::Response rename(const RunningController& controller, const std::string& name) {
        return admin(controller, "PATCH", "networks/" + network,
                     fmt::format(R"({{"name":"{}"}})", name));
    }
    // Without waiting for the answer.
    void begin_rename(const RunningController& controller, const std::string& name) {
        http::ClientOptions options;
        options.unix_path = controller.socket;
        auto client = http::Client::open(loop, std::move(options));
        ASSERT_TRUE(client);
        changing.push_back(std::move(*client));
        changing.back()->request(
            {"PATCH", "/api/v1/networks/" + network, {}, fmt::format(R"({{"name":"{}"}})", name)},
            [](const Result<http::Response>& got) {
                ASSERT_TRUE(got);
                EXPECT_EQ(got->status, 200) << got->body;
            });
    }
    template <class T>
    T made(const http::Response& response) {
        EXPECT_EQ(response.status, 201) << response.body;
        return model::decode<T>(response.body, model::kDocument).value_or(T{});
    }
    http::ClientOptions tls(const RunningController& controller) const {
        http::ClientOptions options;
        options.host = "127.0.0.1";
        options.port = controller.port;
        options.trust.ca_spki_sha256 = token->claims.ca_spki;
        return options;
    }
    struct TestNode {
        wire::Enrolment enrolment;
        SecretText key;
    };
    std::string enrol_request(const pki::TlsKey& key) const {
        const Bytes wireguard_key = random_bytes(32);
        wire::EnrolRequest request;
        request.token = token_text;
        request.csr = *pki::create_csr(key, pki::enrolment_binding(token->claims, wireguard_key));
        request.wireguard_public_key = base64(wireguard_key);
        request.protocol_version = 1;
        return encode(request);
    }
    TestNode enrol(const RunningController& controller) {
        const auto key = *pki::TlsKey::generate();
        const auto answer = ask(tls(controller), {"POST", "/api/v1/enrol", {}, enrol_request(key)});
        return {made<wire::Enrolment>(answer), *key.to_pem()};
    }
    // So many at once, by turns at both; `one` is killed once so many have been answered. Gives
    // those that got no answer.
    std::vector<std::string> enrol_together(
        size_t count, size_t before_kill, const std::function<void(const http::Response&)>& take) {
        std::vector<std::unique_ptr<http::Client>> clients;
        std::vector<std::string> unanswered;
        size_t good = 0, ended = 0;
        for (size_t i = 0; i < count; ++i) {
            const std::string body = enrol_request(*pki::TlsKey::generate());
            clients.push_back(*http::Client::open(loop, tls(i % 2 == 0 ? one : two)));
            clients.back()->request({"POST", "/api/v1/enrol", {}, body},
                                    [&, body](const Result<http::Response>& got) {
                                        if (got) take(*got);
                                        if (!got) unanswered.push_back(body);
                                        if (got && ++good == before_kill)
                                            one.process->signal(SIGKILL);
                                        if (++ended == count) loop.stop();
                                    });
        }
        loop.run();
        return unanswered;
    }
    int64_t count(const std::string& query) const {
        store::Statement row = database->sql(query);
        EXPECT_TRUE(row.next());
        return row.integer(0);
    }
    http::ClientOptions as(const RunningController& controller, const TestNode& node) const {
        auto options = tls(controller);
        options.certificate_pem = node.enrolment.certificate;
        options.private_key_pem = node.key.clone();
        return options;
    }
    wire::NodeMap poll(const RunningController& controller, const TestNode& node,
                       const std::string& query, const std::function<void()>& then = {}) {
        const Timer waiting = then ? once_held(controller, then) : Timer();
        http::Response answer{.status = 503};
        // While it has yet to hear of a node that came in at the other.
        while (answer.status == 503) {
            answer = ask(as(controller, node), {"GET", "/api/v1/node/map" + query, {}, ""});
        }
        EXPECT_EQ(answer.status, 200) << answer.body;
        return model::decode<wire::NodeMap>(answer.body, model::kDocument)
            .value_or(wire::NodeMap{});
    }
};

TEST_F(SharedDatabaseTest, ANodeAtOneHearsWhatTheOtherChanged) {
    using std::chrono::steady_clock;
    const TestNode node = enrol(one);
    auto map = poll(two, node, "?wait=0");
    std::vector<std::chrono::milliseconds> took;
    for (int i = 0; i < 5; ++i) {
        steady_clock::time_point changed;
        const auto since = fmt::format("?wait=30&since={}.{}", map.epoch, map.revision);
        const auto delta = poll(two, node, since, [&] {
            changed = steady_clock::now();
            begin_rename(one, fmt::format("lan-{}", i));
        });
        took.push_back(
            std::chrono::duration_cast<std::chrono::milliseconds>(steady_clock::now() - changed));
        EXPECT_EQ(delta.kind, wire::MapKind::Delta);
        EXPECT_GT(delta.revision, map.revision);
        map.revision = delta.revision;
    }
    // Without a word from the database the poll would have ended by itself, after 30 s. A machine
    // that is busy may take its time once.
    std::sort(took.begin(), took.end());
    EXPECT_LT(took[2], std::chrono::seconds(1));
    RecordProperty("median_ms", static_cast<int>(took[2].count()));
}

// Most of what happens is in nobody's map. Where the maps were loaded later they have its revision,
// and a node that has been there takes none below it.
TEST_F(SharedDatabaseTest, ANodeMovesFromTheOneThatBeganLaterToTheOther) {
    const TestNode node = enrol(one);
    (void)made<wire::TokenCreated>(
        admin(one, "POST", "tokens",
              fmt::format(R"({{"tenantId":"{}","networkId":"{}"}})", tenant, network)));
    end(two, SIGTERM);
    begin(two, "two");
    const auto map = poll(two, node, "?wait=0");
    const auto since = fmt::format("?wait=30&since={}.{}", map.epoch, map.revision);
    const auto moved = poll(one, node, since);  // its first head from there
    EXPECT_EQ(moved.kind, wire::MapKind::Delta);
    EXPECT_EQ(moved.revision, map.revision);
    EXPECT_EQ(rename(one, "renamed").status, 200);
    const auto delta = poll(one, node, since);
    EXPECT_EQ(delta.kind, wire::MapKind::Delta);
    EXPECT_GT(delta.revision, map.revision);
}

// A webhook's receiver keeps the job waiting in the middle of its lease.
TEST_F(SharedDatabaseTest, WhoStoodStillForLongerThanItsLeaseWritesNothingMore) {
    const SilentReceiver receiver;
    wait_for_first_jobs();
    const auto wanted =
        fmt::format(R"({{"tenantId":"{}","name":"hook","url":"https://127.0.0.1:{}/"}})", tenant,
                    receiver.port);
    EXPECT_EQ(admin(one, "POST", "webhooks", wanted).status, 201);
    EXPECT_EQ(rename(one, "first").status, 200);
    UniqueFd asked = receiver.accept();
    const Leased before = leased();
    RunningController& still = before.holder == pid_of(one) ? one : two;
    RunningController& other = &still == &one ? two : one;
    ASSERT_EQ(before.holder, pid_of(still));
    still.process->stop();

    // As if a minute had gone by.
    ASSERT_TRUE(database->sql("UPDATE jobs SET leased_until = 0 WHERE name = 'webhooks'").run());
    UniqueFd asked_anew = receiver.accept();
    const Leased taken = leased();
    EXPECT_EQ(taken.holder, pid_of(other));
    EXPECT_GT(taken.number, before.number);

    still.process->signal(SIGCONT);
    asked.reset();
    wait_for_log(still, "another controller has taken it over");
    EXPECT_EQ(leased(), taken);
    EXPECT_EQ(attempts(), 0);
    // It goes on with everything else, and the job is the other's to end.
    EXPECT_EQ(rename(still, "second").status, 200);
    asked_anew.reset();
    while (attempts() == 0) ::usleep(10'000);
    EXPECT_EQ(attempts(), 1);
}

TEST_F(SharedDatabaseTest, TheEndOfOneLosesNothing) {
    std::set<std::string> nodes;
    std::vector<TestNode> enrolled;
    for (int i = 0; i < 4; ++i) {
        enrolled.push_back(enrol(i % 2 == 0 ? one : two));
        nodes.insert(enrolled.back().enrolment.node_id);
    }
    EXPECT_EQ(nodes.size(), 4u);
    end(one, SIGKILL);
    const auto listed = admin(two, "GET", "nodes");
    for (const std::string& id : nodes)
        EXPECT_NE(listed.body.find(id), std::string::npos) << listed.body;
    // Those that came in by the other have their maps here, and a further one comes in.
    for (const TestNode& node : enrolled) EXPECT_NE(poll(two, node, "?wait=0").epoch, 0);
    (void)enrol(two);
    begin(one, "one");
    EXPECT_GT(poll(one, enrolled.back(), "?wait=0").revision, 0);
}

// F25: revoked at the one, cut off at the other, where its poll is held.
TEST_F(SharedDatabaseTest, ANodeThatOneRevokesIsCutOffAtTheOtherWithinFiveSeconds) {
    using std::chrono::steady_clock;
    const TestNode node = enrol(one);
    const auto map = poll(two, node, "?wait=0");
    steady_clock::time_point revoked;
    http::ClientOptions on_socket;
    on_socket.unix_path = one.socket;
    const auto admin_client = *http::Client::open(loop, std::move(on_socket));
    const Timer waiting = once_held(two, [&] {
        admin_client->request({"POST", "/api/v1/nodes/" + node.enrolment.node_id + "/revoke"},
                              [&](const auto& got) {
                                  EXPECT_EQ(got->status, 200);
                                  revoked = steady_clock::now();
                              });
    });
    const auto held = fmt::format("?wait=60&since={}.{}", map.epoch, map.revision);
    const auto refused = ask(as(two, node), {"GET", "/api/v1/node/map" + held});
    EXPECT_EQ(refused.status, 403) << refused.body;
    EXPECT_NE(refused.body.find("NODE_REVOKED"), std::string::npos) << refused.body;
    // Where the cut is told before the change is answered, there is nothing to measure.
    if (revoked != steady_clock::time_point{}) {
        EXPECT_LT(steady_clock::now() - revoked, std::chrono::seconds(5));
    }
    EXPECT_EQ(ask(as(two, node), {"GET", "/api/v1/node/map"}).status, 403);
}

// F29: of those who enrol at both while one is killed again and again, each has one address in the
// end, nobody has another's, and none is lost.
TEST_F(SharedDatabaseTest, NoAddressIsGivenTwiceOrLostByOneThatIsKilled) {
    constexpr size_t kAtOnce = 12;
    const auto wanted =
        fmt::format(R"({{"tenantId":"{}","networkId":"{}","uses":100}})", tenant, network);
    const auto created = made<wire::TokenCreated>(admin(two, "POST", "tokens", wanted));
    token_text = created.token;
    token = *pki::parse_token(token_text);
    std::set<std::string> nodes, addresses;
    const auto take = [&](const http::Response& answer) {
        const auto enrolled = made<wire::Enrolment>(answer);
        EXPECT_TRUE(nodes.insert(enrolled.node_id).second);
        EXPECT_TRUE(addresses.insert(enrolled.membership->addresses.at(0)).second);
    };
    for (size_t round = 1; round <= 3; ++round) {
        std::vector<std::string> unanswered;
        for (const std::string& request : enrol_together(kAtOnce, round * 2, take))
            unanswered.push_back(request);
        EXPECT_EQ(one.process->wait(), 128 + SIGKILL);
        for (const std::string& request : unanswered)
            take(ask(tls(two), {"POST", "/api/v1/enrol", {}, request}));
        begin(one, "one");
    }
    std::set<std::string> expected;
    for (size_t n = 1; n <= 3 * kAtOnce; ++n) expected.insert(fmt::format("10.1.0.{}", n));
    EXPECT_EQ(addresses, expected);
    EXPECT_EQ(count("SELECT count(*) FROM nodes"), 3 * kAtOnce);
    EXPECT_EQ(count("SELECT count(*) FROM memberships"), 3 * kAtOnce);
    EXPECT_EQ(count("SELECT min(uses_left) FROM tokens WHERE uses_total = 100"), 100 - 3 * kAtOnce);
    EXPECT_EQ(*store::check_database(store::PostgresAddress{url, {}}, SystemClock()),
              std::vector<std::string>{});
}

// F45: the server is killed under writes. Whoever is told 503 comes again with the same key, and
// there is one effect.
TEST_F(SharedDatabaseTest, WhileTheServerIsAwayWritesAre503AndComeTrueOnceWhenItIsBack) {
    constexpr int kWrites = 8;
    const TestNode node = enrol(one);
    const auto map = poll(two, node, "?wait=0");
    const auto write = [&](const RunningController& controller, int n) {
        http::ClientOptions on_socket;
        on_socket.unix_path = controller.socket;
        return std::pair(
            std::move(on_socket),
            http::ClientRequest{"POST",
                                "/api/v1/tokens",
                                {{"Idempotency-Key", fmt::format("one-token-{}", n)}},
                                fmt::format(R"({{"tenantId":"{}","networkId":"{}","uses":{}}})",
                                            tenant, network, n + 1)});
    };
    std::vector<std::unique_ptr<http::Client>> clients;
    int answered = 0;
    for (int n = 0; n < kWrites; ++n) {
        auto [to, request] = write(n % 2 == 0 ? one : two, n);
        clients.push_back(*http::Client::open(loop, std::move(to)));
        clients.back()->request(std::move(request), [&](const Result<http::Response>& got) {
            ASSERT_TRUE(got);
            EXPECT_TRUE(got->status == 201 || got->status == 503) << got->body;
            if (++answered == 1) test::PostgresServer::instance().stop();
            if (answered == kWrites) loop.stop();
        });
    }
    loop.run();
    for (const RunningController* each : {&one, &two}) {
        auto [to, request] = write(*each, kWrites);
        const auto refused = ask(std::move(to), std::move(request));
        EXPECT_EQ(refused.status, 503) << refused.body;
        EXPECT_TRUE(refused.header("Retry-After"));
        EXPECT_EQ(ask(tls(*each), {"GET", "/health"}).status, 200);
        EXPECT_EQ(ask(tls(*each), {"GET", "/ready"}).status, 503);
    }
    // A node that is known is answered from memory, and is told of nothing that is not so.
    const auto since = fmt::format("?since={}.{}", map.epoch, map.revision);
    EXPECT_EQ(ask(as(two, node), {"GET", "/api/v1/node/map" + since}).status, 304);

    test::PostgresServer::instance().start();
    for (int n = 0; n <= kWrites; ++n) {
        http::Response again{.status = 503};
        while (again.status == 503) {
            auto [to, request] = write(two, n);
            again = ask(std::move(to), std::move(request));
        }
        // Where the change was committed and the answer to it lost, it is said so.
        if (again.status != 201) {
            EXPECT_NE(again.body.find("IDEMPOTENCY_IN_PROGRESS"), std::string::npos) << again.body;
        }
    }
    database = std::move(*store::PostgresDatabase::open({url, {}}));
    EXPECT_EQ(count("SELECT count(DISTINCT uses_total) FROM tokens"), kWrites + 1);
    EXPECT_EQ(count("SELECT count(*) FROM tokens"), kWrites + 2);
    EXPECT_EQ(rename(one, "renamed").status, 200);
    EXPECT_EQ(poll(two, node, "?wait=30&" + since.substr(1)).kind, wire::MapKind::Delta);
}

}  // namespace
}  // namespace cvlan::controller
