// SPDX-License-Identifier: Apache-2.0
// The kernel's WireGuard of two machines, which reach nothing but a relay's TLS.
#include <sched.h>

#include "base/loop_thread.h"
#include "relay/server.h"
#include "tests/daemons/agent/relay_links_fixture.h"
#include "tests/support/three_netns.h"

namespace cvlan::agent {
namespace {

using namespace std::chrono_literals;
using testing::kRelay1;
using testing::map_relay;
using testing::NodeWorld;
using testing::TestTenant;
using tests::ThreeNetns;

constexpr uint16_t kPort = 51820;

// A loop whose sockets are of this namespace.
class LoopIn {
public:
    explicit LoopIn(const netlink::NetnsFd& netns) {
        EXPECT_EQ(thread.call([&] { return setns(netns.fd(), CLONE_NEWNET); }), 0);
    }
    LoopThread thread;
};

class RelayLinksKernel : public ::testing::Test {
protected:
    RelayLinksKernel() {
        in_r.thread.call([this] {
            relay::ServerOptions options;
            options.at = at;
            options.tls.emplace(tenant.server_name, tenant.tls());
            options.tenants.push_back(tenant.trust());
            auto made = relay::Server::listen(in_r.thread.loop(), clock, std::move(options));
            ASSERT_TRUE(made) << made.error().message;
            server = std::move(*made);
        });
        // Nothing but TCP to the relay leaves either machine.
        for (const auto* netns : {&nets.a, &nets.b})
            ThreeNetns::shell(*netns,
                              "nft add table inet t; nft 'add chain inet t o { type filter hook "
                              "output priority 0; }'; nft add rule inet t o oifname != lo meta "
                              "l4proto udp drop");
        begin(a, in_a, 1, 2, b_key);
        begin(b, in_b, 2, 1, a_key);
    }
    ~RelayLinksKernel() override {
        in_a.thread.call([this] { a.reset(); });
        in_b.thread.call([this] { b.reset(); });
        in_r.thread.call([this] { server.reset(); });
    }
    void begin(std::optional<NodeWorld>& node, LoopIn& in, int own, int other,
               const wg::PrivateKey& theirs) {
        const wg::PrivateKey& ours = own == 1 ? a_key : b_key;
        in.thread.call([&] {
            node.emplace(in.thread.loop(), clock, tenant, own, other, kPort);
            node->own_key = *wg::public_key_of(ours);
            node->other_key = *wg::public_key_of(theirs);
            node->set_map({map_relay(kRelay1, "r1", at)}, kRelay1);
            node->need(false);
        });
    }
    Endpoint place_of_peer(std::optional<NodeWorld>& node, LoopIn& in) {
        const auto end = std::chrono::steady_clock::now() + 20s;
        std::optional<Endpoint> place;
        while (!place && std::chrono::steady_clock::now() < end) {
            place = in.thread.call([&] { return node->places.tls; });
            std::this_thread::yield();
        }
        EXPECT_TRUE(place);
        return place.value_or(Endpoint{});
    }
    void make_device(const netlink::NetnsFd& netns, const wg::PrivateKey& ours,
                     const wg::PrivateKey& theirs, int own, const std::string& endpoint) {
        ThreeNetns::shell(
            netns, fmt::format("ip link add cv-test type wireguard; echo {} | wg set cv-test "
                               "listen-port {} private-key /dev/stdin peer {} allowed-ips "
                               "10.200.0.0/24 {}; ip addr add 10.200.0.{}/24 dev cv-test; ip link "
                               "set cv-test mtu 1420 up",
                               wg::secret_key_text(ours).reveal(), kPort,
                               wg::public_key_of(theirs)->text(),
                               endpoint.empty() ? "" : "endpoint " + endpoint, own));
    }

    SystemClock clock;
    ThreeNetns nets;
    const TestTenant tenant{1};
    const Endpoint at = *Endpoint::parse("10.9.0.1:443");
    const wg::PrivateKey a_key = wg::generate_private_key();
    const wg::PrivateKey b_key = wg::generate_private_key();
    LoopIn in_a{nets.a}, in_b{nets.b}, in_r{nets.r};
    std::unique_ptr<relay::Server> server;
    std::optional<NodeWorld> a, b;
};

TEST_F(RelayLinksKernel, TwoDevicesSpeakByTlsAloneAndTheOneThatWasCalledAnswers) {
    const Endpoint place = place_of_peer(a, in_a);
    const Endpoint other = place_of_peer(b, in_b);
    make_device(nets.a, a_key, b_key, 1, place.text());
    make_device(nets.b, b_key, a_key, 2, "");
    ThreeNetns::shell(nets.a, "ping -c 1 -W 5 10.200.0.2");
    EXPECT_NE(ThreeNetns::shell(nets.b, "wg show cv-test endpoints").find(other.text()),
              std::string::npos);
    // Whole packets, many at once, both ways.
    ThreeNetns::shell(nets.b, "ping -q -c 200 -i 0.002 -s 1392 -W 5 10.200.0.1 | grep ' 0% '");
    const auto stats = in_r.thread.call([this] { return server->stats(); });
    EXPECT_GE(stats.packets, 400u);
}

}  // namespace
}  // namespace cvlan::agent
