// SPDX-License-Identifier: Apache-2.0
// What a node has from its client: sessions that come up by themselves and come back, grants and
// pairs that are told to each, and packets.
#include "relay/client.h"

#include <gtest/gtest.h>

#include <condition_variable>
#include <future>
#include <mutex>
#include <thread>

#include "base/backoff.h"
#include "tests/relay/relay_fixture.h"

namespace cvlan::relay::test {
namespace {

using namespace std::chrono_literals;

// What a client said, in words, in the order in which it said it.
class Diary {
public:
    void write(std::string line) {
        const std::lock_guard lock(mutex_);
        lines_.push_back(std::move(line));
        written_.notify_all();
    }
    // True: a line that begins so has come after those which were asked for before.
    bool has(std::string_view begin, std::chrono::milliseconds within = 10s) {
        std::unique_lock lock(mutex_);
        return written_.wait_for(lock, within, [&] {
            for (; read_ < lines_.size(); ++read_)
                if (lines_[read_].starts_with(begin)) return ++read_, true;
            return false;
        });
    }

private:
    std::mutex mutex_;
    std::condition_variable written_;
    std::vector<std::string> lines_;
    size_t read_ = 0;
};

class TestNode {
public:
    TestNode(const TestRelay& relay, int node, Via via = Via::Auto) {
        const IssuedCert own = relay.first.node(node);
        ClientOptions options;
        options.endpoints = {relay.at()};
        options.server_name = relay.first.server_name;
        options.tls = http::client_tls(
                          {{.ca_pem = relay.first.ca.pem()}, own.cert_pem, SecretText(own.key_pem)})
                          .value();
        options.via = via;
        options.seed = static_cast<uint32_t>(node);
        options.quiet = 50ms;
        open(std::move(options));
    }
    explicit TestNode(ClientOptions options) { open(std::move(options)); }
    ~TestNode() {
        thread_.call([&] { client_.reset(); });
    }
    Diary diary;
    template <class Run>
    auto call(Run run) {
        return thread_.call([&] { return run(*client_); });
    }
    void show(const std::vector<std::string>& grants) {
        call([&](Client& client) { client.set_grants(grants); });
    }

private:
    void open(ClientOptions options) {
        thread_.call([&] {
            client_ = std::move(Client::open(thread_.loop(), std::move(options), events()).value());
        });
    }
    ClientEvents events() {
        ClientEvents events;
        events.on_up = [this](const Hello& hello) {
            diary.write("up " + (hello.stun.empty() ? "" : hello.stun[0].text()));
        };
        events.on_down = [this](const cvlan::Error& why) { diary.write("down " + why.message); };
        events.on_silent = [this] { diary.write("silent"); };
        events.on_heard = [this] { diary.write("heard"); };
        events.on_granted = [this](const Key& own) {
            diary.write(fmt::format("granted {}", own.bytes()[0]));
        };
        events.on_refused = [this](Fault code, const std::string& text) {
            diary.write(fmt::format("refused {} {}", static_cast<int>(code), text));
        };
        events.on_packet = [this](const Key& source, ByteView payload) {
            diary.write(fmt::format("packet {} {}", source.bytes()[0], as_text(payload)));
        };
        events.on_peer_gone = [this](const Key& peer, Gone reason) {
            diary.write(fmt::format("gone {} {}", peer.bytes()[0], static_cast<int>(reason)));
        };
        events.on_unpaired = [this](const Unpair& unpair) {
            diary.write(fmt::format("unpaired {}", static_cast<int>(unpair.reason)));
        };
        return events;
    }

    LoopThread thread_;
    std::unique_ptr<Client> client_;
};

std::string grant(const TestRelay& relay, int node, uint8_t key) {
    return relay.first.sign(relay.first.grant(node, key_of(key), relay.clock.now()));
}

class ARelayClient : public testing::TestWithParam<Via> {};

TEST_P(ARelayClient, SpeaksWithAnotherThroughTheRelay) {
    TestRelay relay;
    TestNode a(relay, 1, GetParam()), b(relay, 2);
    a.show({grant(relay, 1, 0xa1)});
    b.show({grant(relay, 2, 0xb2)});
    EXPECT_TRUE(a.diary.has("up 192.0.2.1:3478"));
    EXPECT_TRUE(a.diary.has("granted 161"));
    EXPECT_TRUE(b.diary.has("granted 178"));
    for (const size_t size : {size_t{1}, size_t{1400}, kMostPacket}) {
        const std::string payload(size, 'x');
        EXPECT_TRUE(
            a.call([&](Client& client) { return client.send(key_of(0xb2), as_bytes(payload)); }));
        EXPECT_TRUE(b.diary.has("packet 161 " + payload));
        EXPECT_TRUE(
            b.call([&](Client& client) { return client.send(key_of(0xa1), as_bytes(payload)); }));
        EXPECT_TRUE(a.diary.has("packet 178 " + payload));
    }
    EXPECT_TRUE(a.call([](Client& client) { return client.is_up(); }));
    EXPECT_TRUE(a.call([](Client& client) { return client.round_trip().has_value(); }));
}

INSTANTIATE_TEST_SUITE_P(ByEachWay, ARelayClient, testing::Values(Via::Upgrade, Via::WebSocket),
                         [](const auto& way) {
                             return way.param == Via::Upgrade ? "Upgrade" : "WebSocket";
                         });

TEST(ARelayClient, DropsPacketsWhileItHasNoSession) {
    TestRelay relay;
    ClientOptions options;
    options.endpoints = {*Endpoint::parse("127.0.0.1:1")};
    options.server_name = relay.first.server_name;
    options.tls = http::client_tls({{.ca_pem = relay.first.ca.pem()}}).value();
    TestNode a(std::move(options));
    EXPECT_TRUE(a.diary.has("down connect to "));
    EXPECT_FALSE(a.call([](Client& client) { return client.send(key_of(1), as_bytes("x")); }));
    EXPECT_EQ(a.call([](Client& client) { return client.stats().packets_dropped; }), 1u);
}

TEST(ARelayClient, SaysWhatTheRelayRefuses) {
    TestRelay relay;
    TestNode a(relay, 1);
    a.show({grant(relay, 2, 0xb2)});
    EXPECT_TRUE(a.diary.has("refused 2 the grant is another node's"));
    a.show({grant(relay, 1, 0xa1)});
    EXPECT_TRUE(a.diary.has("granted 161"));
    a.call([](Client& client) { client.send(key_of(0xcc), as_bytes("anybody?")); });
    EXPECT_TRUE(a.diary.has("gone 204 1"));
    a.call([](Client& client) { client.pair({key_of(0xa1), key_of(0xb2)}); });
    EXPECT_TRUE(a.diary.has("refused 4 "));
}

TEST(ARelayClient, ComesBackAndShowsItsGrantsAgain) {
    TestRelay relay;
    TestNode a(relay, 1);
    a.show({grant(relay, 1, 0xa1)});
    EXPECT_TRUE(a.diary.has("granted 161"));
    relay.call([&](Server& server) {
        server.set_tenants({});  // which ends its sessions
        std::vector<TenantTrust> tenants;
        tenants.push_back(relay.first.trust());
        server.set_tenants(std::move(tenants));
    });
    EXPECT_TRUE(a.diary.has("down "));
    EXPECT_TRUE(a.diary.has("up "));
    EXPECT_TRUE(a.diary.has("granted 161"));
    EXPECT_EQ(a.call([](Client& client) { return client.stats().connections; }), 2u);
}

TEST(ARelayClient, TriesTheNextEndpoint) {
    TestRelay relay;
    const IssuedCert own = relay.first.node(1);
    ClientOptions options;
    options.endpoints = {*Endpoint::parse("127.0.0.1:1"), relay.at()};
    options.server_name = relay.first.server_name;
    options.tls =
        http::client_tls({{.ca_pem = relay.first.ca.pem()}, own.cert_pem, SecretText(own.key_pem)})
            .value();
    TestNode a(std::move(options));
    EXPECT_TRUE(a.diary.has("down "));
    EXPECT_TRUE(a.diary.has("up "));
}

// As one whose STUN server answers again.
TEST(ARelayClient, WhoIsHurriedDoesNotWaitOutItsPauseAndGoesWhereItIsToldNow) {
    TestRelay relay;
    const IssuedCert own = relay.first.node(1);
    ClientOptions options;
    options.endpoints = {*Endpoint::parse("127.0.0.1:1")};
    options.server_name = relay.first.server_name;
    options.tls =
        http::client_tls({{.ca_pem = relay.first.ca.pem()}, own.cert_pem, SecretText(own.key_pem)})
            .value();
    // One whose third pause is long, behind two that are not.
    const auto third = [](uint32_t seed) {
        Backoff backoff(seed);
        const auto first_two = backoff.next() + backoff.next();
        return first_two < 2s ? backoff.next() : 0ms;
    };
    while (third(options.seed) < 3500ms) ++options.seed;
    TestNode a(std::move(options));
    for (int i = 0; i < 3; ++i) EXPECT_TRUE(a.diary.has("down connect to "));
    a.call([&](Client& client) {
        client.set_endpoints({relay.at()});
        client.hurry(1ms);
        client.hurry(60s);
    });
    EXPECT_TRUE(a.diary.has("up ", 3s));
}

TEST(ARelayClient, ConnectsAtOnceWhenTheNetworkHasChanged) {
    TestRelay relay;
    TestNode a(relay, 1);
    EXPECT_TRUE(a.diary.has("up "));
    // Up: it asks for a sign of life, and has it.
    a.call([](Client& client) { client.network_changed(); });
    a.show({grant(relay, 1, 0xa1)});
    EXPECT_TRUE(a.diary.has("granted 161"));
    EXPECT_TRUE(a.call([](Client& client) { return client.is_up(); }));
}

// A relay whose loop does nothing until it is released.
class Stuck {
public:
    explicit Stuck(TestRelay& relay)
        : block_([this, &relay] {
              relay.call([this](Server&) {
                  stuck_.set_value();
                  released_.get_future().wait();
              });
          }) {
        stuck_.get_future().wait();
    }
    ~Stuck() { block_.join(); }
    void release() { released_.set_value(); }

private:
    std::promise<void> stuck_, released_;
    std::thread block_;
};

// Its machine takes all that is sent, so TCP is content.
TEST(ARelayClient, SaysWhenTheRelayDoesNotAnswerAndWhenItDoesAgain) {
    TestRelay relay;
    TestNode a(relay, 1);
    a.show({grant(relay, 1, 0xa1)});
    EXPECT_TRUE(a.diary.has("granted 161"));
    Stuck stuck(relay);
    bool is_silent = false;
    for (int packets = 0; packets < 1000 && !is_silent; ++packets) {
        a.call([](Client& client) { client.send(key_of(0xa1), as_bytes("anybody?")); });
        is_silent = a.diary.has("silent", 10ms);
    }
    EXPECT_TRUE(is_silent);
    stuck.release();
    EXPECT_TRUE(a.diary.has("heard"));
    EXPECT_TRUE(a.call([](Client& client) { return client.is_up(); }));
}

TEST(ARelayClient, MeasuresARoundTripThatTakesLongAndStays) {
    TestRelay relay;
    TestNode a(relay, 1);
    EXPECT_TRUE(a.diary.has("up "));
    Stuck stuck(relay);
    a.call([](Client& client) { client.measure(); });
    EXPECT_FALSE(a.diary.has("down ", 1100ms));
    stuck.release();
    a.show({grant(relay, 1, 0xa1)});
    EXPECT_TRUE(a.diary.has("granted 161"));
    EXPECT_GE(a.call([](Client& client) { return client.round_trip(); }), 1100ms);
}

TEST(ARelayClient, NeedsANameAnEndpointAndACertificate) {
    EventLoop loop;
    EXPECT_FALSE(Client::open(loop, {}, {}));
    ClientOptions nameless;
    nameless.endpoints = {*Endpoint::parse("127.0.0.1:1")};
    EXPECT_FALSE(Client::open(loop, std::move(nameless), {}));
}

}  // namespace
}  // namespace cvlan::relay::test
