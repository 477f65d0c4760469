// SPDX-License-Identifier: Apache-2.0
// Two nodes that speak through the relay's kernel, with nft(8) as the independent reader.
#include "relay/forwarding.h"

#include <gmock/gmock.h>
#include <linux/ethtool.h>
#include <linux/sockios.h>
#include <net/if.h>
#include <sys/ioctl.h>

#include <atomic>

#include "stun/message.h"
#include "tests/support/three_netns.h"

namespace cvlan::relay {
namespace {

using std::chrono::seconds;
using testing::HasSubstr;
using testing::IsEmpty;
using tests::at;
using tests::need;
using tests::ThreeNetns;
using tests::UdpSocket;

constexpr seconds kLong{300};

Address address(const std::string& text) { return need(Address::parse(text), "address"); }

// The addresses of A, B and the relay in a family.
struct Places {
    Endpoint a, b, relay;
};
const Places kV4{at("10.1.0.2:51820"), at("10.2.0.2:51821"), at("10.9.0.1:49152")};
const Places kV6{at("[fd01::2]:51820"), at("[fd02::2]:51821"), at("[fd09::1]:49152")};

Pair pair_of(const Places& places, const std::string& name = "A and B") {
    return {name, places.relay.address, places.relay.port, places.a, places.b};
}

std::string expect(const Result<void>& done) { return done ? "" : done.error().message; }

// What a device does about UDP checksums of packets that leave it: nothing, so that they go on half
// done, or the whole of it.
void offload_checksums(const netlink::NetnsFd& netns, const char* device, bool on) {
    const auto done = netns.run([&]() -> Result<void> {
        UniqueFd fd(socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0));
        ethtool_value value{ETHTOOL_STXCSUM, on ? 1u : 0u};
        ifreq request{};
        std::strncpy(request.ifr_name, device, IFNAMSIZ - 1);
        request.ifr_data = reinterpret_cast<char*>(&value);
        if (ioctl(fd.get(), SIOCETHTOOL, &request) != 0) return failed(errno_error("ethtool"));
        return {};
    });
    ASSERT_TRUE(done) << done.error().message;
}

class ForwardingKernel : public testing::Test {
protected:
    ForwardingKernel() : forwarding_(need(Forwarding::open(net_.r), "open")) { net_.forward(); }
    void SetUp() override {
        auto installed = forwarding_.install(own_);
        ASSERT_TRUE(installed) << installed.error().message;
        ASSERT_EQ(*installed, Forwarding::Installed::Created);
    }
    std::string in_r(const std::string& command) const {
        return ThreeNetns::shell(net_.r, command);
    }
    void put(const Pair& pair, seconds timeout = kLong) {
        ASSERT_EQ(expect(forwarding_.put({&pair, 1}, timeout)), "");
    }

    ThreeNetns net_;
    Forwarding forwarding_;
    std::vector<Address> own_{address("10.9.0.1"), address("fd09::1")};
};

TEST_F(ForwardingKernel, CarriesUdpBothWaysInBothFamilies) {
    uint64_t all_bytes = 0;
    for (const Places& places : {kV4, kV6}) {
        const UdpSocket a(net_.a, places.a);
        const UdpSocket b(net_.b, places.b);
        put(pair_of(places));
        uint64_t bytes = 0;
        for (const size_t size : {0u, 1u, 148u, 1400u}) {
            const std::string text(size, 'x');
            EXPECT_TRUE(a.send(text, places.relay));
            EXPECT_EQ(b.receive(), (UdpSocket::Datagram{text, places.relay})) << size;
            EXPECT_TRUE(b.send(text, places.relay));
            EXPECT_EQ(a.receive(), (UdpSocket::Datagram{text, places.relay})) << size;
            bytes += size + 8 + (places.a.address.is_v4() ? 20 : 40);
        }
        const auto pairs = need(forwarding_.pairs(), "pairs");
        ASSERT_FALSE(pairs.empty());
        EXPECT_EQ(pairs.back().pair, pair_of(places));
        EXPECT_EQ(pairs.back().from_a, (Traffic{4, bytes}));
        EXPECT_EQ(pairs.back().from_b, (Traffic{4, bytes}));
        EXPECT_GT(pairs.back().expires_in, seconds(200));
        EXPECT_LE(pairs.back().expires_in, kLong);
        all_bytes += 2 * bytes;
    }
    EXPECT_EQ(need(forwarding_.traffic(), "traffic"), (Traffic{16, all_bytes}));
    EXPECT_EQ(need(forwarding_.pairs(), "pairs").size(), 2u);
}

// The receiver drops what has a wrong checksum. A veth pair hands packets over with checksums that
// are only begun, as network cards do with merged ones; with the offload off they are complete.
TEST_F(ForwardingKernel, ChecksumsAreRightHoweverThePacketComes) {
    for (const bool sender_leaves_them : {true, false}) {
        for (const Places& places : {kV4, kV6}) {
            offload_checksums(net_.a, "va", sender_leaves_them);
            offload_checksums(net_.r, "rb", false);
            const UdpSocket a(net_.a, places.a);
            const UdpSocket b(net_.b, places.b);
            put(pair_of(places));
            for (const std::string text : {"odd", "even", "\xff\xff", "\x00\x01"}) {
                EXPECT_TRUE(a.send(text, places.relay));
                EXPECT_EQ(b.receive(), (UdpSocket::Datagram{text, places.relay}));
            }
        }
    }
}

TEST_F(ForwardingKernel, AUdpPacketWithoutAChecksumStaysWithoutOne) {
    put(pair_of(kV4));
    offload_checksums(net_.r, "rb", false);
    const UdpSocket a(net_.a, kV4.a);
    const UdpSocket b(net_.b, kV4.b);
    int on = 1;  // as ESP in UDP (RFC 3948)
    ASSERT_EQ(setsockopt(a.fd(), SOL_SOCKET, SO_NO_CHECK, &on, sizeof on), 0);
    UniqueFd raw;
    ASSERT_TRUE(net_.b.run([&]() -> Result<void> {
        raw = UniqueFd(socket(AF_INET, SOCK_RAW | SOCK_CLOEXEC, IPPROTO_UDP));
        return {};
    }));
    EXPECT_TRUE(a.send("esp", kV4.relay));
    EXPECT_EQ(b.receive(), (UdpSocket::Datagram{"esp", kV4.relay}));
    uint8_t packet[100] = {};
    ASSERT_EQ(recv(raw.get(), packet, sizeof packet, MSG_DONTWAIT), 20 + 8 + 3);
    EXPECT_EQ(packet[26] << 8 | packet[27], 0);
    EXPECT_EQ(packet[8], 63) << "forwarded like any packet, its time to live is one less";
}

// As of a node on a link of 1280 bytes: what is longer comes in pieces, and only the first has
// ports.
TEST_F(ForwardingKernel, PutsFragmentsTogetherAndSendsThemOnAsTheyCame) {
    ThreeNetns::shell(net_.a, "ip link set dev va mtu 1280");
    ThreeNetns::shell(net_.b,
                      "nft 'add table inet seen; add chain inet seen in "
                      "{ type filter hook prerouting priority 0; }; "
                      "add rule inet seen in meta length > 1280 counter'");
    for (const Places& places : {kV4, kV6}) {
        const UdpSocket a(net_.a, places.a);
        const UdpSocket b(net_.b, places.b);
        put(pair_of(places));
        for (const size_t size : {1400u, 4000u, 100u}) {
            const std::string text(size, 'x');
            EXPECT_TRUE(a.send(text, places.relay));
            EXPECT_EQ(b.receive(), (UdpSocket::Datagram{text, places.relay})) << size;
            EXPECT_TRUE(b.send("got it", places.relay));
            EXPECT_EQ(a.receive(), (UdpSocket::Datagram{"got it", places.relay})) << size;
        }
    }
    EXPECT_THAT(ThreeNetns::shell(net_.b, "nft list table inet seen"), HasSubstr("packets 0 "));
}

TEST_F(ForwardingKernel, WhatComesOfAnUnknownSourceStaysAtTheRelay) {
    for (const Places& places : {kV4, kV6}) {
        put(pair_of(places));
        const UdpSocket relay(net_.r, places.relay);
        const UdpSocket b(net_.b, places.b);
        Endpoint other = places.a;
        other.port = 7777;
        const UdpSocket stranger(net_.a, other);
        EXPECT_TRUE(stranger.send("hello", places.relay));
        EXPECT_EQ(relay.receive(), (UdpSocket::Datagram{"hello", other}));
        EXPECT_EQ(b.receive(0), std::nullopt);
    }
}

TEST_F(ForwardingKernel, BindRequestsStayAtTheRelayAndOtherStunGoesThrough) {
    const auto stun = [](uint16_t type) {
        std::string text{static_cast<char>(type >> 8), static_cast<char>(type), 0, 0};
        text += std::string("\x21\x12\xa4\x42", 4) + std::string(12, 't');
        return text;
    };
    const std::string bind = stun(stun::type_of(stun::Class::Request, stun::Method::Bind));
    const std::string check = stun(stun::type_of(stun::Class::Request, stun::Method::Binding));
    for (const Places& places : {kV4, kV6}) {
        put(pair_of(places));
        const UdpSocket relay(net_.r, places.relay);
        const UdpSocket a(net_.a, places.a);
        const UdpSocket b(net_.b, places.b);
        EXPECT_TRUE(a.send(bind, places.relay));
        EXPECT_EQ(relay.receive(), (UdpSocket::Datagram{bind, places.a}));
        EXPECT_TRUE(a.send(check, places.relay));
        EXPECT_EQ(b.receive(), (UdpSocket::Datagram{check, places.relay}));
        EXPECT_EQ(relay.receive(0), std::nullopt);
        EXPECT_EQ(b.receive(0), std::nullopt);
    }
}

TEST_F(ForwardingKernel, OneAddressOfOursIsNotTakenForAnother) {
    own_ = {address("10.9.0.1"), address("10.1.0.1"), address("fd09::1")};
    ASSERT_EQ(need(forwarding_.install(own_), "install"), Forwarding::Installed::Repaired);
    put(pair_of(kV4));
    Places second = kV4;
    second.relay.address = address("10.1.0.1");
    second.b.port = 999;
    put(pair_of(second, "second"));
    const UdpSocket a(net_.a, kV4.a);
    const UdpSocket b(net_.b, kV4.b);
    const UdpSocket other(net_.b, second.b);
    EXPECT_TRUE(a.send("one", kV4.relay));
    EXPECT_EQ(b.receive(), (UdpSocket::Datagram{"one", kV4.relay}));
    EXPECT_TRUE(a.send("two", second.relay));
    EXPECT_EQ(other.receive(), (UdpSocket::Datagram{"two", second.relay}));
}

TEST_F(ForwardingKernel, APairRunsOutUnlessItIsRefreshed) {
    const Pair pair = pair_of(kV4);
    put(pair, seconds(1));
    put(pair_of(kV6, "stays"), seconds(1));
    const Pair stays = pair_of(kV6, "stays");
    ASSERT_EQ(expect(forwarding_.refresh({&stays, 1}, kLong)), "");
    const UdpSocket relay(net_.r, kV4.relay);
    const UdpSocket a(net_.a, kV4.a);
    // Once the pair is gone, the relay itself gets what comes.
    std::optional<UdpSocket::Datagram> got;
    for (int i = 0; i < 1000 && !got; ++i) {
        EXPECT_TRUE(a.send("late", kV4.relay));
        got = relay.receive(10);
    }
    EXPECT_EQ(got, (UdpSocket::Datagram{"late", kV4.a}));
    const auto left = need(forwarding_.pairs(), "pairs");
    ASSERT_EQ(left.size(), 1u);
    EXPECT_EQ(left[0].pair, stays);
    EXPECT_GT(left[0].expires_in, seconds(200));
    // A refresh of what has run out makes it anew.
    ASSERT_EQ(expect(forwarding_.refresh({&pair, 1}, kLong)), "");
    EXPECT_EQ(need(forwarding_.pairs(), "pairs").size(), 2u);
}

// Packets with rising numbers, both ways, until told to stop; then all of them must have arrived.
class RunningTraffic {
public:
    RunningTraffic(const ThreeNetns& net, const Places& places)
        : a_(net.a, places.a), b_(net.b, places.b), relay_(places.relay), thread_([this] {
              for (uint32_t number = 0; !stop_; ++number) {
                  const std::string text = std::to_string(number);
                  if (!a_.send(text, relay_) || !b_.send(text, relay_)) return;
                  const auto at_b = b_.receive();
                  const auto at_a = a_.receive();
                  if (!at_a || !at_b || at_a->text != text || at_b->text != text) return;
                  ++rounds_;
              }
              whole_ = true;
          }) {}
    ~RunningTraffic() { (void)whole(); }

    void wait_for_more() const {
        for (const uint32_t before = rounds_; rounds_ < before + 50 && !whole_ && alive();)
            std::this_thread::yield();
    }
    // Whether nothing was lost, mixed up or changed.
    bool whole() {
        stop_ = true;
        if (thread_.joinable()) thread_.join();
        return whole_;
    }
    uint32_t rounds() const { return rounds_; }

private:
    bool alive() const { return !stop_; }
    const UdpSocket a_, b_;
    const Endpoint relay_;
    std::atomic<bool> stop_{false}, whole_{false};
    std::atomic<uint32_t> rounds_{0};
    std::thread thread_;
};

TEST_F(ForwardingKernel, ARelayThatStartsAnewAdoptsRunningPairsWithoutLosingAPacket) {
    put(pair_of(kV4));
    RunningTraffic traffic(net_, kV4);
    // A packet may be counted between the look at a counter and its carrying over.
    uint32_t between = 0;
    for (int i = 0; i < 5; ++i) {
        traffic.wait_for_more();
        auto again = need(Forwarding::open(net_.r), "open");
        ASSERT_EQ(need(again.reinstall(own_), "install"), Forwarding::Installed::Repaired);
        traffic.wait_for_more();
        const uint32_t looked_at = traffic.rounds();
        const auto pairs = need(again.pairs(), "pairs");
        ASSERT_EQ(pairs.size(), 1u);
        EXPECT_EQ(pairs[0].pair, pair_of(kV4));
        ASSERT_EQ(expect(again.refresh({&pairs[0].pair, 1}, kLong)), "");
        between += traffic.rounds() - looked_at + 1;
        forwarding_ = std::move(again);
    }
    traffic.wait_for_more();
    EXPECT_TRUE(traffic.whole()) << "after " << traffic.rounds() << " rounds";
    EXPECT_GT(traffic.rounds(), 500u);
    const auto end = need(forwarding_.pairs(), "pairs");
    EXPECT_LE(end.at(0).from_a.packets, traffic.rounds());
    EXPECT_GE(end.at(0).from_a.packets + between, traffic.rounds());
}

TEST_F(ForwardingKernel, ANodeThatMovesIsReachedAtItsNewPlaceAlone) {
    for (const Places& places : {kV4, kV6}) {
        const Pair before = pair_of(places);
        put(before);
        const UdpSocket relay(net_.r, places.relay);
        const UdpSocket a(net_.a, places.a);
        const UdpSocket old(net_.b, places.b);
        EXPECT_TRUE(a.send("1", places.relay));
        EXPECT_TRUE(old.receive());
        Pair after = before;
        after.b.port = 40000;
        const UdpSocket moved(net_.b, after.b);
        ASSERT_EQ(expect(forwarding_.replace(before, after, kLong)), "");
        EXPECT_TRUE(a.send("2", places.relay));
        EXPECT_EQ(moved.receive(), (UdpSocket::Datagram{"2", places.relay}));
        EXPECT_TRUE(moved.send("3", places.relay));
        EXPECT_EQ(a.receive(), (UdpSocket::Datagram{"3", places.relay}));
        EXPECT_TRUE(old.send("4", places.relay));
        EXPECT_EQ(relay.receive(), (UdpSocket::Datagram{"4", places.b}));
        const auto pairs = need(forwarding_.pairs(), "pairs");
        EXPECT_EQ(pairs.back().pair, after);
        EXPECT_EQ(pairs.back().from_a.packets, 2u) << "what was counted before is kept";
        ASSERT_EQ(expect(forwarding_.remove({&before, 1})), "") << "is not there any more";
        EXPECT_TRUE(a.send("5", places.relay));
        EXPECT_EQ(relay.receive(), (UdpSocket::Datagram{"5", places.a}));
        EXPECT_EQ(moved.receive(0), std::nullopt);
    }
}

TEST_F(ForwardingKernel, APlaceThatAnotherPairHasIsRefused) {
    put(pair_of(kV4));
    Pair other = pair_of(kV4, "others");
    other.b.port = 1;
    const auto refused = forwarding_.put({&other, 1}, kLong);
    ASSERT_FALSE(refused);
    EXPECT_EQ(refused.error().code, Code::Conflict);
    ASSERT_EQ(expect(forwarding_.remove({&other, 1})), "");
    const auto pairs = need(forwarding_.pairs(), "pairs");
    ASSERT_EQ(pairs.size(), 1u);
    EXPECT_EQ(pairs[0].pair, pair_of(kV4));
}

TEST_F(ForwardingKernel, PutsBackWhatSomebodyTookAwayAndKeepsThePairs) {
    EXPECT_EQ(need(forwarding_.install(own_), "again"), Forwarding::Installed::Unchanged);
    put(pair_of(kV4));
    in_r("nft flush chain inet cvlan_relay postrouting");
    EXPECT_EQ(need(forwarding_.install(own_), "rules"), Forwarding::Installed::Repaired);
    EXPECT_EQ(need(forwarding_.pairs(), "pairs").size(), 1u);
    const UdpSocket a(net_.a, kV4.a);
    const UdpSocket b(net_.b, kV4.b);
    EXPECT_TRUE(a.send("x", kV4.relay));
    EXPECT_EQ(b.receive(), (UdpSocket::Datagram{"x", kV4.relay}));
    in_r(  // as an older relay left it
        "nft flush chain inet cvlan_relay fragments; nft delete chain inet cvlan_relay fragments");
    EXPECT_EQ(need(forwarding_.install(own_), "chain"), Forwarding::Installed::Repaired);
    EXPECT_EQ(need(forwarding_.pairs(), "pairs").size(), 1u);

    in_r("nft flush ruleset");
    const Pair pair = pair_of(kV4);
    EXPECT_EQ(forwarding_.put({&pair, 1}, kLong).error().code, Code::NotFound);
    EXPECT_EQ(need(forwarding_.install(own_), "table"), Forwarding::Installed::Created);
    EXPECT_THAT(need(forwarding_.pairs(), "pairs"), IsEmpty());

    in_r(
        "nft delete table inet cvlan_relay; "
        "nft 'add table inet cvlan_relay { comment \"cvlan-relay 0\"; }'");
    EXPECT_EQ(need(forwarding_.install(own_), "version"), Forwarding::Installed::Created);
    EXPECT_EQ(need(forwarding_.install(own_), "again"), Forwarding::Installed::Unchanged);
}

TEST_F(ForwardingKernel, LeavesAnothersTableOfTheSameNameAlone) {
    ASSERT_EQ(expect(forwarding_.uninstall()), "");
    in_r("nft add table inet cvlan_relay");
    EXPECT_EQ(forwarding_.install(own_).error().code, Code::Exists);
    EXPECT_EQ(forwarding_.uninstall().error().code, Code::Exists);
    EXPECT_THAT(in_r("nft list tables"), HasSubstr("cvlan_relay"));
}

TEST_F(ForwardingKernel, TouchesNoTableOfOthers) {
    ASSERT_EQ(expect(forwarding_.uninstall()), "");
    in_r(
        "nft 'add table ip nat; add chain ip nat post { type nat hook postrouting priority 100; }; "
        "add rule ip nat post oifname \"rb\" masquerade; add table inet filter; "
        "add chain inet filter forward { type filter hook forward priority 0; }; "
        "add rule inet filter forward ct state invalid drop; add set inet filter s "
        "{ type ipv4_addr . inet_service; flags timeout; }'");
    const std::string before = in_r("nft -a -j list ruleset");
    ASSERT_TRUE(forwarding_.install(own_));
    put(pair_of(kV4));
    put(pair_of(kV6));
    const UdpSocket a(net_.a, kV4.a);
    const UdpSocket b(net_.b, kV4.b);
    EXPECT_TRUE(a.send("x", kV4.relay));
    EXPECT_EQ(b.receive(), (UdpSocket::Datagram{"x", kV4.relay})) << "with connection tracking";
    EXPECT_THAT(in_r("nft -j list ruleset"), HasSubstr("cvlan_relay"));
    ASSERT_EQ(expect(forwarding_.uninstall()), "");
    EXPECT_EQ(in_r("nft -a -j list ruleset"), before);
    EXPECT_EQ(expect(forwarding_.uninstall()), "");
}

TEST_F(ForwardingKernel, NftShowsRulesAndPairs) {
    put(pair_of(kV4));
    put(pair_of(kV6));
    const std::string shown = in_r("nft list table inet cvlan_relay");
    EXPECT_THAT(shown, HasSubstr("comment \"cvlan-relay 1\""));
    EXPECT_THAT(shown, HasSubstr("10.1.0.2 . 10.9.0.1 . 51820 . 49152 counter packets 0 bytes 0 "
                                 "timeout 5m expires"));
    EXPECT_THAT(shown, HasSubstr("comment \"a:A and B\" : 10.2.0.2 . 0x"));
    EXPECT_THAT(shown, HasSubstr("fd02::2 . fd09::1 . 51821 . 49152"));
    EXPECT_THAT(shown,
                HasSubstr("ip daddr set ip saddr . ip daddr . th sport . th dport map @pairs4"));
    EXPECT_THAT(shown, HasSubstr("tproxy to :1 comment"));
    EXPECT_THAT(in_r("nft -j list table inet cvlan_relay"), HasSubstr("\"concat\": [\"10.1.0.2\""));
}

TEST_F(ForwardingKernel, TenThousandPairsAreAllThereAndTheLastOneWorks) {
    std::vector<Pair> pairs;
    for (uint16_t i = 0; i < 10'000; ++i) {
        Pair pair = pair_of(kV4, "pair " + std::to_string(i));
        pair.port = static_cast<uint16_t>(49152 + i % 1000);
        pair.a.port = static_cast<uint16_t>(1000 + i);
        pair.b.port = static_cast<uint16_t>(1000 + i);
        pairs.push_back(pair);
    }
    ASSERT_EQ(expect(forwarding_.put(pairs, kLong)), "");
    ASSERT_EQ(expect(forwarding_.put(pairs, kLong)), "") << "is a refresh";
    EXPECT_EQ(need(forwarding_.pairs(), "pairs").size(), pairs.size());
    const Pair& last = pairs.back();
    const UdpSocket a(net_.a, last.a);
    const UdpSocket b(net_.b, last.b);
    const Endpoint relay{last.own, last.port};
    EXPECT_TRUE(a.send("x", relay));
    EXPECT_EQ(b.receive(), (UdpSocket::Datagram{"x", relay}));
    ASSERT_EQ(expect(forwarding_.remove(pairs)), "");
    EXPECT_THAT(need(forwarding_.pairs(), "pairs"), IsEmpty());
}

}  // namespace
}  // namespace cvlan::relay
