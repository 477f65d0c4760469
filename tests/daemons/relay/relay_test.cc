// SPDX-License-Identifier: Apache-2.0
// A relay with its controller: whom it serves, and from when on it does not.
#include "daemons/relay/relay.h"

#include <poll.h>

#include "relay/client.h"
#include "relay/frame.h"
#include "tests/daemons/relay/fake_controller.h"
#include "tests/http/raw_client.h"
#include "tests/relay/fake_pair_host.h"
#include "tests/support/figures.h"
#include "tests/support/promtool.h"

namespace cvlan::relayd::test {
namespace {

using namespace std::chrono_literals;

relay::Key key_of(uint8_t number) {
    relay::Key key;
    key.writable().fill(number);
    return key;
}

// A node's session, and what it heard.
struct Node {
    Node(EventLoop& loop, const FakeController& controller, const Relay& relay, int number)
        : id(node_id(number)), key(key_of(static_cast<uint8_t>(number))) {
        auto own = pki::TlsKey::generate();
        const auto csr = pki::create_csr(*own);
        relay::ClientOptions options;
        options.endpoints = {relay.endpoint()};
        options.server_name = kNode + "." + kTenant + ".cvlan.test";
        options.tls =
            http::client_tls({{.ca_pem = enrolled_by(controller).trust_pem()},
                              controller.issuer.certificate(*csr, id, model::TokenRole::Node),
                              std::move(*own->to_pem())})
                .value();
        relay::ClientEvents events;
        events.on_up = [this](const relay::Hello& hello) { stun = hello.stun; };
        events.on_granted = [this](const relay::Key&) { is_granted = true; };
        events.on_down = [this](const Error& why) {
            is_granted = false;
            downs.push_back(why.message);
        };
        events.on_refused = [this](relay::Fault code, const std::string&) { fault = code; };
        events.on_packet = [this](const relay::Key& source, ByteView packet) {
            packets.push_back(fmt::format("{}:{}", source.bytes()[0], as_text(packet)));
        };
        events.on_offer = [this](const relay::Offer& one) { offered = one.port; };
        client = *relay::Client::open(loop, std::move(options), std::move(events));
        wire::RelayGrant grant;
        grant.tenant_id = kTenant;
        grant.node_id = id;
        grant.network_id = kNetwork;
        grant.wireguard_public_key = key.text();
        grant.issued_at = kNow;
        grant.expires_at = kNow + 24h;
        client->set_grants({encode(controller.issuer.maps.sign(encode(grant)))});
    }
    std::string id;
    relay::Key key;
    std::vector<Endpoint> stun;
    bool is_granted = false;
    std::optional<relay::Fault> fault;
    std::vector<std::string> downs;
    std::vector<std::string> packets;
    uint16_t offered = 0;
    std::unique_ptr<relay::Client> client;
};

class ARelay : public testing::Test {
protected:
    ARelay() {
        // What tests need of the machine: any port.
        config.state_dir = folder.file("state");
        config.listen = *Endpoint::parse("127.0.0.1:0");
        config.metrics = *Endpoint::parse("127.0.0.1:0");
        config.stun_ports = {0};
        config.pairs = {21'000, 21'255};
    }
    void SetUp() override {
        auto dir = StateDir::open(config.state_dir);
        ASSERT_TRUE(dir && dir->save_identity(enrolled_by(controller)));
    }
    void start(bool forwards = false) {
        relay.reset();
        auto made =
            Relay::start(loop, clock, config,
                         forwards ? std::make_unique<relay::test::FakePairHost>() : nullptr);
        ASSERT_TRUE(made) << made.error().message;
        relay = std::move(*made);
    }
    Node node(int number) { return {loop, controller, *relay, number}; }
    bool becomes(const std::function<bool()>& claim) { return until(loop, claim); }
    // The answer of its own pages, head and body.
    std::string get(const std::string& path) {
        http::test::RawClient client(*relay->metrics_endpoint());
        client.send("GET " + path + " HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n");
        pollfd ready{client.fd(), POLLIN, 0};
        EXPECT_TRUE(becomes([&] { return poll(&ready, 1, 0) == 1; }));
        return client.message();
    }
    int status(const std::string& path) { return http::test::status_of(get(path)); }

    EventLoop loop;
    SystemClock clock;
    FakeController controller{loop};
    cvlan::test::TempDir folder;
    RelayConfig config;
    std::unique_ptr<Relay> relay;
};

TEST_F(ARelay, WithoutATenantDoesNotStart) {
    config.state_dir = folder.file("empty");
    const auto made = Relay::start(loop, clock, config, nullptr);
    ASSERT_FALSE(made);
    EXPECT_EQ(made.error().code, Code::NotFound);
}

TEST_F(ARelay, CarriesPacketsOfTheNodesOfItsTenantOnceItHasAMap) {
    start();
    Node a = node(1), b = node(2);
    EXPECT_TRUE(becomes([&] { return !a.downs.empty(); })) << "who is barred is not known yet";
    EXPECT_EQ(status("/ready"), 503);
    EXPECT_EQ(status("/health"), 200);
    controller.publish(controller.map(1));
    ASSERT_TRUE(becomes([&] { return a.is_granted && b.is_granted; }));
    EXPECT_EQ(status("/ready"), 200);
    EXPECT_EQ(a.stun.at(0).address.text(), "192.0.2.9");
    a.client->send(b.key, as_bytes(std::string_view("hello")));
    ASSERT_TRUE(becomes([&] { return !b.packets.empty(); }));
    EXPECT_EQ(b.packets[0], "1:hello");
    const std::string metrics = get("/metrics");
    for (const char* line : {"cvlan_relay_sessions 2\n", "cvlan_relay_tls_packets_total 1\n",
                             "cvlan_relay_tenants_reached 1\n"})
        EXPECT_NE(metrics.find(line), std::string::npos) << line << metrics;
    EXPECT_EQ(cvlan::test::promtool(metrics.substr(metrics.find("\r\n\r\n") + 4)), "");
    EXPECT_EQ(status("/"), 404);
}

TEST_F(ARelay, CutsANodeThatANewMapBars) {
    controller.publish(controller.map(1));
    start();
    Node a = node(1), b = node(2);
    ASSERT_TRUE(becomes([&] { return a.is_granted && b.is_granted && controller.held() == 1; }));
    controller.publish(controller.map(2, {node_id(2)}));
    ASSERT_TRUE(becomes([&] { return b.fault == relay::Fault::Barred && !b.is_granted; }));
    b.downs.clear();
    EXPECT_TRUE(becomes([&] { return !b.downs.empty(); })) << "nor is it let in again";
    EXPECT_FALSE(b.is_granted);
    EXPECT_TRUE(a.is_granted);
}

TEST_F(ARelay, ThatIsRevokedItselfServesNobody) {
    controller.publish(controller.map(1));
    start();
    Node a = node(1);
    ASSERT_TRUE(becomes([&] { return a.is_granted && controller.held() == 1; }));
    controller.refuse(403, "NODE_REVOKED");
    EXPECT_TRUE(becomes([&] { return !a.is_granted; }));
    EXPECT_EQ(a.fault, relay::Fault::Barred);
}

TEST_F(ARelay, ServesByTheMapOnItsDiskWhileItsControllerIsAway) {
    controller.publish(controller.map(1, {node_id(2)}));
    start();
    ASSERT_TRUE(becomes([&] { return controller.held() == 1; }));
    relay.reset();
    controller.stop();
    start();
    Node a = node(1), b = node(2);
    EXPECT_TRUE(becomes([&] { return a.is_granted && !b.downs.empty(); }));
    EXPECT_FALSE(b.is_granted);
}

TEST_F(ARelay, BelievesNoMapThatIsOlderOrAnothers) {
    controller.publish(controller.map(7, {node_id(2)}));
    start();
    ASSERT_TRUE(becomes([&] { return controller.held() == 1; }));
    const size_t before = controller.requests.size();
    controller.publish(controller.map(6));
    ASSERT_TRUE(becomes([&] { return controller.requests.size() > before; }));
    auto forged = controller.map(8);
    forged.head->signature[0] ^= 1;
    controller.publish(std::move(forged));
    ASSERT_TRUE(becomes([&] { return controller.requests.size() > before + 1; }));
    Node b = node(2);
    EXPECT_TRUE(becomes([&] { return !b.downs.empty(); }));
    EXPECT_FALSE(b.is_granted);
}

TEST_F(ARelay, RenewsItsCertificateWhileItServes) {
    Identity old = enrolled_by(controller);
    const std::string before = *old.kept.certificate;
    controller.publish(controller.map(1));
    ManualClock later(kNow + 24h * 365);
    auto made = Relay::start(loop, later, config, nullptr);
    ASSERT_TRUE(made);
    // The first question is answered, the second is held, and the third comes with what the
    // renewal has brought.
    const auto& all = controller.requests;
    ASSERT_TRUE(
        becomes([&] { return std::count(all.begin(), all.end(), "GET /api/v1/node/map") == 3; }));
    EXPECT_EQ(std::count(all.begin(), all.end(), "POST /api/v1/node/certificate"), 1);
    made->reset();
    const auto kept = StateDir::open(config.state_dir)->load_identity(kTenant);
    ASSERT_TRUE(kept);
    EXPECT_FALSE(kept->kept.next_tls_key);
    EXPECT_NE(kept->kept.certificate, before);
}

TEST_F(ARelay, OffersPairsWhereItsKernelForwards) {
    controller.publish(controller.map(1));
    start(true);
    Node a = node(1), b = node(2);
    ASSERT_TRUE(becomes([&] { return a.is_granted && b.is_granted; }));
    a.client->pair({a.key, b.key});
    ASSERT_TRUE(becomes([&] { return a.offered != 0; }));
    EXPECT_GE(a.offered, 21'000);
    EXPECT_NE(get("/metrics").find("cvlan_relay_pairs 1\n"), std::string::npos);
    EXPECT_NE(get("/metrics").find("cvlan_relay_kernel_packets_total 7\n"), std::string::npos);
    size_t asked = 0;
    EXPECT_EQ(cvlan::test::missing_figures("cvlan_relay_", get("/metrics"), &asked),
              std::set<std::string>());
    EXPECT_GT(asked, 4u);
    start(false);
    Node c = node(3), d = node(4);
    ASSERT_TRUE(becomes([&] { return c.is_granted; }));
    c.client->pair({c.key, d.key});
    EXPECT_TRUE(becomes([&] { return c.fault == relay::Fault::PairRefused; }));
}

TEST_F(ARelay, ThatEndsTellsItsSessions) {
    controller.publish(controller.map(1));
    start();
    Node a = node(1);
    ASSERT_TRUE(becomes([&] { return a.is_granted; }));
    bool is_done = false;
    relay->drain([&] { is_done = true; });
    EXPECT_TRUE(becomes([&] { return is_done && !a.downs.empty(); }));
    EXPECT_EQ(a.fault, relay::Fault::Leaving);
}

}  // namespace
}  // namespace cvlan::relayd::test
