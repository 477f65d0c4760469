// SPDX-License-Identifier: Apache-2.0
#include "daemons/agent/pathfinder.h"

#include <gtest/gtest.h>

#include <algorithm>

#include "tests/daemons/agent/support.h"

namespace cvlan::agent {
namespace {

using namespace testing;
using reach::Way;
using std::chrono::milliseconds;

Endpoint at(std::string_view text) { return *Endpoint::parse(text); }

// What is sent arrives when the loop comes round, at whoever has that address.
class FakeNetwork;

class FakeSockets final : public PathSockets {
public:
    FakeSockets(FakeNetwork& network, Address own) : network_(network), own_(own) {}
    void set_receiver(Came came) override { came_ = std::move(came); }
    void set(const std::map<std::string, uint16_t>& ports) override { ports_ = ports; }
    bool send(const std::string& device, const reach::RawUdp::Outgoing& datagram) override;
    std::string trouble() const override { return ""; }

    void deliver(const Endpoint& from, const Endpoint& to, const Bytes& payload) {
        if (to.address != own_) return;
        for (const auto& [device, port] : std::map(ports_))
            if (port == to.port) came_(device, {from, to.address, payload});
    }
    const std::map<std::string, uint16_t>& ports() const { return ports_; }
    size_t sent = 0;

private:
    FakeNetwork& network_;
    Address own_;
    std::map<std::string, uint16_t> ports_;
    Came came_;
};

class FakeNetwork {
public:
    explicit FakeNetwork(EventLoop& loop) : loop_(loop) {}
    void join(FakeSockets& sockets) { all_.push_back(&sockets); }
    void send(const Endpoint& from, const Endpoint& to, ByteView payload) {
        if (to == stun_server) return answer(from, payload);
        loop_.post([this, from, to, bytes = Bytes(payload.begin(), payload.end())] {
            for (FakeSockets* one : all_) one->deliver(from, to, bytes);
        });
    }
    void answer(const Endpoint& from, ByteView asked) {
        ++questions;
        const auto message = stun::Message::parse(asked);
        ASSERT_TRUE(message);
        std::array<uint8_t, stun::kMostMessage> buffer;
        const auto bytes = stun::Builder(buffer, stun::Class::Success, stun::Method::Binding,
                                         message->transaction())
                               .mapped({*Address::parse("203.0.113.77"), mapped_port})
                               .fingerprint()
                               .finish();
        send(stun_server, from, *bytes);
    }
    Endpoint stun_server = at("203.0.113.1:3478");
    int questions = 0;
    uint16_t mapped_port = 40'000;

private:
    EventLoop& loop_;
    std::vector<FakeSockets*> all_;
};

bool FakeSockets::send(const std::string& device, const reach::RawUdp::Outgoing& datagram) {
    ++sent;
    network_.send({own_, ports_.at(device)}, datagram.to, datagram.payload);
    return true;
}

// The system's, which jumps ahead when told.
class ShiftedClock final : public Clock {
public:
    WallTime now() const override { return system_.now() + shift; }
    BootTime since_boot() const override { return system_.since_boot() + shift; }
    milliseconds shift{0};

private:
    SystemClock system_;
};

// A node with a kernel of one peer.
struct Side {
    Side(EventLoop& loop, FakeNetwork& network, int number)
        : own(*Address::parse(fmt::format("192.0.2.{}", number))), sockets(network, own) {
        network.join(sockets);
        key = *reconcile::DeviceKey::of(wg::generate_private_key());
        Pathfinder::Events events;
        events.write = [this](const std::vector<PathWrite>& list) { wrote(list); };
        events.observe = [this] { look(); };
        events.on_change = [this] { ++changes; };
        events.on_forgotten = [this] { ++forgotten; };
        events.on_step = [] {};
        events.on_bind = [this](const std::string&, const Endpoint& from, const stun::Message&) {
            binds.push_back(from);
        };
        finder = std::make_unique<Pathfinder>(loop, clock, sockets, std::move(events));
        finder->set_underlay({{}, {own}, true, false});
    }
    void follow(const Side& other, std::vector<Endpoint> endpoints) {
        auto made = std::make_shared<model::NetworkMap>();
        model::MapPeer peer;
        peer.wireguard_key = other.key.public_key().text();
        peer.endpoints = std::move(endpoints);
        made->networks[kNetwork].peers[node_id(2)] = peer;
        map = made;
        kernel.name = "cv-test";
        kernel.peers.clear();
        kernel.peers.emplace_back();
        kernel.peers[0].public_key = other.key.public_key();
        kernel.peers[0].keepalive_seconds = 25;
        follow();
    }
    void follow() { finder->follow({{"cv-test", 51820, key, map, kNetwork}}); }
    void look() {
        finder->look(kernel, [this](const PathKey&) { return is_live; });
    }
    void wrote(const std::vector<PathWrite>& list) {
        for (const PathWrite& one : list) {
            writes.push_back(one);
            kernel.peers[0].endpoint = one.endpoint;
        }
    }
    PathKey peer() const { return {"cv-test", kernel.peers[0].public_key}; }
    auto times_made_anew() const {
        return std::count_if(writes.begin(), writes.end(),
                             [](const PathWrite& one) { return one.is_anew; });
    }
    bool was_made_anew() const { return times_made_anew() > 0; }

    ShiftedClock clock;
    Address own;
    FakeSockets sockets;
    reconcile::DeviceKey key;
    std::shared_ptr<const model::NetworkMap> map;
    wg::Device kernel;
    bool is_live = false;
    std::vector<PathWrite> writes;
    std::vector<Endpoint> binds;
    int changes = 0;
    int forgotten = 0;
    std::unique_ptr<Pathfinder> finder;
};

struct PathfinderTest : ::testing::Test {
    EventLoop loop;
    FakeNetwork network{loop};
    Side a{loop, network, 1};
    Side b{loop, network, 2};

    bool until(const std::function<bool()>& claim) {
        for (int i = 0; i < 500; ++i) {
            if (claim()) return true;
            loop.run_once(milliseconds(10));
        }
        return false;
    }
    void turn(int times) {
        for (int i = 0; i < times; ++i) loop.run_once(milliseconds(1));
    }
    void meet() {
        a.follow(b, {at("192.0.2.99:51820"), at("192.0.2.2:51820")});
        b.follow(a, {at("192.0.2.1:51820")});
        a.look();
        b.look();
    }
    Side& first() { return a.key.public_key() < b.key.public_key() ? a : b; }
    Side& second() { return &first() == &a ? b : a; }
    // A check as `from` would send it to a's port.
    Bytes check(const wg::PrivateKey& mine, const wg::PublicKey& claimed) {
        const auto key = reach::check_key(mine, a.key.public_key());
        std::array<uint8_t, stun::kMostMessage> buffer;
        const auto bytes =
            reach::write_request(buffer, {stun::random_transaction(), claimed, {}}, *key);
        return {bytes->begin(), bytes->end()};
    }
};

TEST_F(PathfinderTest, TwoNodesFindThePlaceWhereTheOtherAnswersAndWriteItToTheKernel) {
    meet();
    ASSERT_TRUE(until([&] { return !a.writes.empty() && !b.writes.empty(); }));
    EXPECT_EQ(a.kernel.peers[0].endpoint, at("192.0.2.2:51820"));
    EXPECT_EQ(b.kernel.peers[0].endpoint, at("192.0.2.1:51820"));
    EXPECT_TRUE(a.finder->speaks_checks(a.peer()));
    EXPECT_EQ(a.finder->view(a.peer()).path->way, Way::PublicV4);
    EXPECT_TRUE(a.finder->view(a.peer()).round_trip);
}

TEST_F(PathfinderTest, ThePeerWithoutASessionIsMadeAnewByTheLowerKeyFirst) {
    meet();
    ASSERT_TRUE(until([&] { return first().was_made_anew(); }));
    EXPECT_FALSE(second().was_made_anew());
    first().is_live = second().is_live = true;
    turn(200);
    second().look();
    const size_t writes = first().writes.size() + second().writes.size();
    turn(200);
    EXPECT_FALSE(second().was_made_anew());
    EXPECT_EQ(first().writes.size() + second().writes.size(), writes);
}

TEST_F(PathfinderTest, WhereThatIsInVainTheOtherSideDoesItASecondLater) {
    meet();
    EXPECT_TRUE(until([&] { return second().was_made_anew(); }));
    EXPECT_TRUE(first().was_made_anew());
}

TEST_F(PathfinderTest, WhoHearsOfAHandshakeOfTheOtherSideLetsItCome) {
    meet();
    ASSERT_TRUE(until([&] { return first().was_made_anew(); }));
    second().kernel.peers[0].rx_bytes = 148;
    const BootTime due = second().clock.since_boot() + milliseconds(1'300);
    ASSERT_TRUE(until([&] { return second().clock.since_boot() > due; }));
    EXPECT_FALSE(second().was_made_anew());
}

// It would else wait for five seconds: WireGuard's pause between handshakes.
TEST_F(PathfinderTest, WhereTheKernelSendsElsewhereItIsMadeAnewInTheMessageOfItsPath) {
    a.follow(b, {at("192.0.2.2:51820")});
    b.follow(a, {at("192.0.2.1:51820")});
    first().kernel.peers[0].endpoint = at("192.0.2.99:51820");
    a.look();
    b.look();
    ASSERT_TRUE(until([&] { return !first().writes.empty(); }));
    EXPECT_TRUE(first().writes[0].is_anew);
}

// Each side takes the other's for the one that counts, and neither completes.
TEST_F(PathfinderTest, TwoHandshakesThatMetAreFollowedByAnotherWithinASecond) {
    meet();
    ASSERT_TRUE(until([&] { return first().was_made_anew(); }));
    first().kernel.peers[0].rx_bytes = second().kernel.peers[0].rx_bytes = 148;
    const BootTime due = first().clock.since_boot() + milliseconds(1'000);
    ASSERT_TRUE(until([&] { return first().times_made_anew() == 2; }));
    EXPECT_LT(first().clock.since_boot(), due);
    EXPECT_FALSE(second().was_made_anew());
}

TEST_F(PathfinderTest, AHandshakeThatNothingAnswersIsTheKernelsToRepeat) {
    meet();
    ASSERT_TRUE(until([&] { return second().was_made_anew(); }));
    EXPECT_EQ(first().times_made_anew(), 1);
}

TEST_F(PathfinderTest, ASessionThatStandsIsNotThrownAway) {
    a.is_live = b.is_live = true;
    meet();
    ASSERT_TRUE(until([&] { return !a.writes.empty() && !b.writes.empty(); }));
    turn(300);
    EXPECT_FALSE(a.was_made_anew() || b.was_made_anew());
}

TEST_F(PathfinderTest, AStrangersCheckIsNotAnswered) {
    meet();
    ASSERT_TRUE(until([&] { return a.finder->speaks_checks(a.peer()); }));
    a.finder->follow({});
    a.follow();
    a.map = std::make_shared<model::NetworkMap>();
    a.follow();
    turn(20);
    const size_t sent = a.sockets.sent;
    // Of one who is in no map of ours, and of one who only says that he is b.
    const auto stranger = wg::generate_private_key();
    network.send(at("192.0.2.66:51820"), at("192.0.2.1:51820"),
                 check(stranger, *wg::public_key_of(stranger)));
    network.send(at("192.0.2.66:51820"), at("192.0.2.1:51820"),
                 check(stranger, b.key.public_key()));
    network.send(at("192.0.2.2:51820"), at("192.0.2.1:51820"),
                 check(b.key.private_key(), b.key.public_key()));
    turn(20);
    EXPECT_EQ(a.sockets.sent, sent);
}

TEST_F(PathfinderTest, AForgedCheckOfAPeerIsNotAnsweredAndATrueOneIs) {
    a.follow(b, {});
    turn(20);
    const size_t sent = a.sockets.sent;
    const auto stranger = wg::generate_private_key();
    network.send(at("192.0.2.66:51820"), at("192.0.2.1:51820"),
                 check(stranger, b.key.public_key()));
    turn(20);
    EXPECT_EQ(a.sockets.sent, sent);
    EXPECT_FALSE(a.finder->speaks_checks(a.peer()));
    network.send(at("192.0.2.67:51820"), at("192.0.2.1:51820"),
                 check(b.key.private_key(), b.key.public_key()));
    turn(20);
    EXPECT_GT(a.sockets.sent, sent);
    EXPECT_TRUE(a.finder->speaks_checks(a.peer()));
}

TEST_F(PathfinderTest, AStunServerTellsHowThePortIsSeenFromOutside) {
    a.finder->set_servers({network.stun_server});
    a.follow(b, {});
    EXPECT_TRUE(a.finder->is_asking("cv-test"));
    ASSERT_TRUE(until([&] { return !a.finder->seen_from_outside("cv-test").empty(); }));
    EXPECT_FALSE(a.finder->is_asking("cv-test"));
    EXPECT_EQ(a.finder->seen_from_outside("cv-test"),
              std::vector<Endpoint>{at("203.0.113.77:40000")});
    EXPECT_TRUE(a.finder->round_trip(network.stun_server));
    EXPECT_TRUE(until([&] { return a.changes > 0; }));
    const int questions = network.questions;
    turn(100);
    EXPECT_EQ(network.questions, questions);
    a.finder->measure();
    EXPECT_TRUE(a.finder->is_measuring());
    EXPECT_TRUE(until([&] { return !a.finder->is_measuring(); }));
    EXPECT_EQ(network.questions, questions + 1);
}

TEST_F(PathfinderTest, ASilentPathAndAnotherMappingTellOfANatThatHasForgotten) {
    a.is_live = b.is_live = true;
    a.finder->set_servers({network.stun_server});
    meet();
    ASSERT_TRUE(until([&] {
        return a.finder->view(a.peer()).path && !a.finder->seen_from_outside("cv-test").empty();
    }));
    b.finder->follow({});
    a.kernel.peers[0].rx_bytes = a.kernel.peers[0].tx_bytes = 10'000;
    a.look();
    network.mapped_port = 41'000;
    a.clock.shift += milliseconds(6'000);
    ASSERT_TRUE(until([&] { return a.forgotten > 0; }));
    EXPECT_EQ(a.finder->seen_from_outside("cv-test")[0].port, 41'000);
    turn(100);
    EXPECT_EQ(a.forgotten, 1);
}

TEST_F(PathfinderTest, PlacesThatOneTellsInACheckAreTriedByTheOther) {
    a.follow(b, {at("192.0.2.2:51820")});
    b.follow(a, {});
    a.finder->set_places("cv-test", {at("192.0.2.1:51820")});
    EXPECT_TRUE(until([&] { return b.kernel.peers[0].endpoint == at("192.0.2.1:51820"); }));
}

TEST_F(PathfinderTest, AnAnswerToABindRequestIsPassedOn) {
    a.follow(b, {});
    turn(5);
    std::array<uint8_t, stun::kMostMessage> buffer;
    const auto bytes =
        stun::Builder(buffer, stun::Class::Success, stun::Method::Bind, stun::random_transaction())
            .fingerprint()
            .finish();
    network.send(at("203.0.113.9:49152"), at("192.0.2.1:51820"), *bytes);
    EXPECT_TRUE(until([&] { return a.binds == std::vector{at("203.0.113.9:49152")}; }));
}

TEST_F(PathfinderTest, AMachineThatIsDownHasNoSockets) {
    meet();
    EXPECT_EQ(a.sockets.ports().size(), 1u);
    a.finder->follow({});
    EXPECT_TRUE(a.sockets.ports().empty());
    EXPECT_FALSE(a.finder->speaks_checks(a.peer()));
}

TEST(Budget, LetsThroughSoManyInASecond) {
    Budget budget(100);
    int taken = 0;
    for (int i = 0; i < 1000; ++i) taken += budget.take(BootTime(50'000));
    EXPECT_EQ(taken, 100);
    for (int i = 0; i < 1000; ++i) taken += budget.take(BootTime(50'100));
    EXPECT_EQ(taken, 110);
}

TEST(OpenChecks, KnowsWhomEachWentToForAsLongAsAnAnswerCounts) {
    OpenChecks open;
    const PathKey one{"cv-a", wg::PublicKey()};
    for (uint64_t token = 1; token <= 10; ++token) open.sent(token, one, BootTime(token * 1000));
    EXPECT_EQ(open.find(2), nullptr);
    ASSERT_NE(open.find(10), nullptr);
    EXPECT_EQ(*open.find(10), one);
    EXPECT_EQ(open.find(11), nullptr);
    EXPECT_EQ(open.size(), 7u);
}

}  // namespace
}  // namespace cvlan::agent
