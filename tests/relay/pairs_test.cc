// SPDX-License-Identifier: Apache-2.0
// What becomes of two nodes that want to speak by UDP: offers, binds, what the kernel is told, and
// what each hears.
#include "relay/pairs.h"

#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

#include <list>
#include <map>
#include <set>

#include "stun/builder.h"
#include "tests/relay/fake_pair_host.h"
#include "tests/relay/test_tenant.h"

namespace cvlan::relay::test {
namespace {

using namespace std::chrono_literals;

const Address kV4 = *Address::parse("192.0.2.9");
const Address kV6 = *Address::parse("2001:db8::9");
constexpr const char* kTenant = "0193a000-0000-7000-8000-000000000001";

Endpoint at(const char* text) { return *Endpoint::parse(text); }

// A desk, its kernel, and what it told each session.
class Desk {
public:
    explicit Desk(PairLimits limits = {}) : limits_(limits) { restart(); }

    // As after a restart of the relay: the kernel is the same.
    void restart() {
        pairs.reset();
        open.clear();
        Pairs::Hooks hooks;
        hooks.tell = [this](uint64_t session, ByteView frames) {
            FrameReader reader;
            reader.feed(frames);
            Frame frame;
            while (reader.next(frame))
                told[session].push_back({frame.type, {frame.body.begin(), frame.body.end()}});
        };
        hooks.open_port = [this](uint16_t port) -> Result<void> {
            if (taken.contains(port)) return fail(Code::Conflict, "port {} is taken", port);
            open.insert(port);
            return {};
        };
        hooks.close_port = [this](uint16_t port) { open.erase(port); };
        pairs =
            std::make_unique<Pairs>(clock, kernel, hooks, std::vector<Address>{kV4, kV6}, limits_);
        EXPECT_TRUE(pairs->adopt());
    }
    PairDesk::Asker asker(uint64_t session, const char* network = kNetwork1) {
        nodes_.push_back(node_uuid(static_cast<int>(session)));
        return {session, kTenant, nodes_.back(), network, clock.now() + 24h};
    }
    // Node `own` asks in session `own`.
    void ask(uint8_t own, uint8_t peer) { pairs->pair(asker(own), {key_of(own), key_of(peer)}); }
    std::optional<Offer> offer(uint64_t session) {
        const auto body = last(session, FrameType::Offer);
        if (!body) return std::nullopt;
        return std::move(*parse_offer(*body));
    }
    std::string ready(uint64_t session) {
        const auto body = last(session, FrameType::Ready);
        return body ? parse_ready(*body)->at.text() : "";
    }
    int unpaired(uint64_t session) {
        const auto body = last(session, FrameType::Unpair);
        return body ? static_cast<int>(parse_unpair(*body)->reason) : -1;
    }
    // One bind request of that offer; the answer, if there was one.
    std::optional<Bytes> request(const Offer& offer, const Endpoint& from, std::string_view nonce,
                                 std::optional<uint16_t> port = std::nullopt) {
        Bytes request(stun::kMostMessage), answer(stun::kMostMessage);
        stun::Builder builder(request, stun::Class::Request, stun::Method::Bind,
                              stun::random_transaction());
        builder.username(hex(offer.bind_id));
        if (!nonce.empty()) builder.nonce(nonce);
        const auto built = builder.integrity(offer.secret.bytes()).finish();
        const auto message = stun::Message::parse(*built);
        const size_t size =
            pairs->bind(*message, from, own_at(from, port.value_or(offer.port)), answer);
        EXPECT_LE(size, built->size());
        answer.resize(size);
        if (size == 0) return std::nullopt;
        return answer;
    }
    // The nonce that a request without one gets.
    std::string nonce(const Offer& offer, const Endpoint& from) {
        const auto answer = request(offer, from, "");
        const auto message = answer ? stun::Message::parse(*answer) : fail(Code::NotFound, "");
        return message ? std::string(message->nonce().value_or("")) : "";
    }
    // As a node binds: without a nonce, then with the one it got. The answer to the last request.
    std::optional<Bytes> bind(const Offer& offer, const Endpoint& from,
                              std::optional<uint16_t> port = std::nullopt) {
        const auto first = request(offer, from, "", port);
        if (!first) return std::nullopt;
        return request(offer, from, *stun::Message::parse(*first)->nonce(), port);
    }

    ManualClock clock{*from_rfc3339("2026-11-20T12:00:00.000Z")};
    FakePairHost kernel;
    std::set<uint16_t> taken;
    std::set<uint16_t> open;
    std::map<uint64_t, std::vector<std::pair<FrameType, Bytes>>> told;
    std::unique_ptr<Pairs> pairs;

private:
    // Behind a NAT of its own: not what the world knows.
    static Endpoint own_at(const Endpoint& from, uint16_t port) {
        return {*Address::parse(from.address.is_v4() ? "10.0.0.9" : "fd00::9"), port};
    }
    std::optional<Bytes> last(uint64_t session, FrameType type) {
        auto& all = told[session];
        const auto found = std::find_if(all.rbegin(), all.rend(),
                                        [&](const auto& one) { return one.first == type; });
        if (found == all.rend()) return std::nullopt;
        Bytes body = found->second;
        all.clear();
        return body;
    }
    PairLimits limits_;
    std::list<std::string> nodes_;
};

// Nodes 1 and 2, forwarded.
struct Forwarded : Desk {
    explicit Forwarded(PairLimits limits = {}) : Desk(limits) {
        ask(1, 2);
        ask(2, 1);
        a = offer(1);
        b = offer(2);
        bind(*a, at("198.51.100.1:1000"));
        bind(*b, at("203.0.113.2:2000"));
    }
    std::optional<Offer> a, b;
};

TEST(APair, IsForwardedWhenBothHaveBound) {
    Desk desk;
    desk.ask(1, 2);
    const auto a = desk.offer(1);
    ASSERT_TRUE(a);
    EXPECT_EQ(a->port, 49152);
    EXPECT_EQ(a->addresses, (std::vector{kV4, kV6}));
    EXPECT_EQ(desk.open, (std::set<uint16_t>{49152}));
    EXPECT_TRUE(desk.bind(*a, at("198.51.100.1:1000")));
    EXPECT_TRUE(desk.kernel.held.empty());
    desk.ask(2, 1);
    const auto b = desk.offer(2);
    ASSERT_TRUE(b);
    EXPECT_EQ(b->port, a->port);
    EXPECT_NE(b->bind_id, a->bind_id);
    EXPECT_TRUE(desk.bind(*b, at("203.0.113.2:2000")));
    ASSERT_EQ(desk.kernel.held.size(), 1u);
    EXPECT_EQ(desk.kernel.held[0].first, at("198.51.100.1:1000"));
    EXPECT_EQ(desk.kernel.held[0].second, at("203.0.113.2:2000"));
    EXPECT_EQ(desk.ready(1), "192.0.2.9:49152");
    EXPECT_EQ(desk.ready(2), "192.0.2.9:49152");
}

TEST(APair, IsToldItsMappedAddress) {
    Desk desk;
    desk.ask(1, 2);
    const auto offer = desk.offer(1);
    const auto answer = desk.bind(*offer, at("[2001:db8::1]:1000"));
    ASSERT_TRUE(answer);
    const auto message = stun::Message::parse(*answer);
    ASSERT_TRUE(message);
    EXPECT_TRUE(message->is(stun::Class::Success, stun::Method::Bind));
    EXPECT_EQ(message->mapped(), at("[2001:db8::1]:1000"));
    EXPECT_TRUE(message->is_authentic(offer->secret.bytes()));
    EXPECT_TRUE(message->has_fingerprint());
}

TEST(APair, IsForwardedInEachFamilyThatBothHave) {
    Forwarded desk;
    desk.bind(*desk.a, at("[2001:db8::1]:1000"));
    EXPECT_EQ(desk.kernel.held.size(), 1u);
    desk.bind(*desk.b, at("[2001:db8::2]:2000"));
    EXPECT_EQ(desk.kernel.held.size(), 2u);
    EXPECT_EQ(desk.ready(1), "[2001:db8::9]:49152");
}

TEST(APair, OfNoCommonFamilyEnds) {
    Desk desk;
    desk.ask(1, 2);
    desk.ask(2, 1);
    desk.bind(*desk.offer(1), at("198.51.100.1:1000"));
    desk.bind(*desk.offer(2), at("[2001:db8::2]:2000"));
    desk.pairs->sweep();
    EXPECT_EQ(desk.unpaired(1), -1);
    desk.clock.advance(6s);
    desk.pairs->sweep();
    EXPECT_EQ(desk.unpaired(1), 4);
    EXPECT_EQ(desk.unpaired(2), 4);
    EXPECT_TRUE(desk.open.empty());
}

TEST(ABind, IsRefusedWithoutAWord) {
    Desk desk;
    desk.ask(1, 2);
    const auto good = desk.offer(1);
    Offer other{good->pair, good->bind_id, good->secret.clone(), good->port, {}};
    other.bind_id[0] ^= 1;
    EXPECT_FALSE(desk.bind(other, at("198.51.100.1:1000")));
    Offer forged{good->pair, good->bind_id, good->secret.clone(), good->port, {}};
    forged.secret.writable()[0] ^= 1;
    EXPECT_FALSE(desk.bind(forged, at("198.51.100.1:1000")));
    EXPECT_FALSE(desk.bind(*good, at("198.51.100.1:1000"), uint16_t{49153}));
    Bytes request(100), answer(100);
    const auto nameless =
        stun::Builder(request, stun::Class::Request, stun::Method::Bind, {}).fingerprint().finish();
    EXPECT_EQ(desk.pairs->bind(*stun::Message::parse(*nameless), at("198.51.100.1:1000"),
                               {kV4, good->port}, answer),
              0u);
    EXPECT_EQ(desk.pairs->stats().binds_refused, 4u);
    EXPECT_TRUE(desk.bind(*good, at("198.51.100.1:1000")));
}

bool is_success(const std::optional<Bytes>& answer) {
    const auto message = answer ? stun::Message::parse(*answer) : fail(Code::NotFound, "");
    return message && message->is(stun::Class::Success, stun::Method::Bind);
}

TEST(ABind, IsAskedForProofOfTheWayBackFirst) {
    Forwarded desk;
    const auto answer = desk.request(*desk.a, at("198.51.100.66:6666"), "");
    ASSERT_TRUE(answer);
    const auto message = stun::Message::parse(*answer);
    ASSERT_TRUE(message && message->is(stun::Class::Error, stun::Method::Bind));
    EXPECT_EQ(message->error_code(), (stun::ErrorCode{438, ""}));
    EXPECT_EQ(message->nonce().value_or("").size(), 16u);
    EXPECT_TRUE(message->is_authentic(desk.a->secret.bytes()));
    EXPECT_TRUE(message->has_fingerprint());
    EXPECT_EQ(desk.kernel.held.at(0).first, at("198.51.100.1:1000"));
    EXPECT_TRUE(is_success(desk.bind(*desk.a, at("198.51.100.66:6666"))));
    EXPECT_EQ(desk.kernel.held.at(0).first, at("198.51.100.66:6666"));
}

// Who can not read what is sent to the victim has no nonce of it.
TEST(ABind, InTheNameOfAnotherAddressMovesNothing) {
    Forwarded desk;
    const Endpoint own = at("198.51.100.1:1000"), victim = at("203.0.113.80:53");
    const std::string good = desk.nonce(*desk.a, own);
    for (const std::string& shown :
         {good, desk.nonce(*desk.b, own), std::string("0123456789abcdef")})
        EXPECT_FALSE(is_success(desk.request(*desk.a, victim, shown))) << shown;
    EXPECT_FALSE(is_success(desk.request(*desk.a, at("198.51.100.1:1001"), good)));
    EXPECT_FALSE(is_success(desk.request(*desk.b, own, good)));
    EXPECT_EQ(desk.kernel.held.at(0).first, own);
    EXPECT_EQ(desk.kernel.held.at(0).second, at("203.0.113.2:2000"));
    EXPECT_EQ(desk.pairs->stats().binds_unproven, 2u + 2u + 3u + 2u);
}

TEST(ABind, WithTheSameNonceIsGoodForTwoMinutesAndNotForFour) {
    Forwarded desk;
    const Endpoint own = at("198.51.100.1:1000");
    const std::string nonce = desk.nonce(*desk.a, own);
    EXPECT_TRUE(is_success(desk.request(*desk.a, own, nonce)));
    desk.clock.advance(2min);
    EXPECT_TRUE(is_success(desk.request(*desk.a, own, nonce)));
    desk.clock.advance(2min);
    EXPECT_FALSE(is_success(desk.request(*desk.a, own, nonce)));
    EXPECT_TRUE(is_success(desk.bind(*desk.a, own)));
}

TEST(ABind, FromTheSameAddressRefreshes) {
    Forwarded desk;
    const int puts = desk.kernel.puts;
    desk.bind(*desk.a, at("198.51.100.1:1000"));
    EXPECT_EQ(desk.kernel.puts, puts);
    EXPECT_GT(desk.kernel.refreshes, 0);
    // Somebody has emptied the kernel's table.
    desk.kernel.held.clear();
    desk.bind(*desk.a, at("198.51.100.1:1000"));
    EXPECT_EQ(desk.kernel.held.size(), 1u);
}

TEST(ABind, FromAnotherAddressReplacesTheOldOne) {
    Forwarded desk;
    desk.bind(*desk.a, at("198.51.100.7:7000"));
    ASSERT_EQ(desk.kernel.held.size(), 1u);
    EXPECT_EQ(desk.kernel.held[0].first, at("198.51.100.7:7000"));
    EXPECT_EQ(desk.ready(2), "192.0.2.9:49152");
}

TEST(ABind, FromAnAddressThatAnotherPairHadTakesIt) {
    Forwarded desk;
    desk.ask(3, 4);
    desk.ask(4, 3);
    const auto c = desk.offer(3), d = desk.offer(4);
    EXPECT_EQ(c->port, desk.a->port);  // disjoint pairs share a port
    desk.bind(*d, at("203.0.113.4:4000"));
    desk.bind(*c, at("198.51.100.1:1000"));
    ASSERT_EQ(desk.kernel.held.size(), 1u);
    EXPECT_EQ(desk.kernel.held[0].id, pair_id(kTenant, {key_of(3), key_of(4)}));
    desk.bind(*desk.a, at("198.51.100.1:1001"));
    EXPECT_EQ(desk.kernel.held.size(), 2u);
}

TEST(ABind, OfBothSidesFromOneAddressLoopsNothing) {
    Forwarded desk;
    desk.bind(*desk.b, at("198.51.100.1:1000"));
    EXPECT_TRUE(desk.kernel.held.empty());
}

TEST(APair, LivesByItsBindsAndNotByItsSessions) {
    Forwarded desk;
    for (int minute = 0; minute < 20; ++minute) {
        desk.clock.advance(1min);
        desk.bind(*desk.a, at("198.51.100.1:1000"));
        desk.bind(*desk.b, at("203.0.113.2:2000"));
        desk.pairs->sweep();
    }
    EXPECT_EQ(desk.kernel.held.size(), 1u);
    desk.clock.advance(4min);
    desk.bind(*desk.a, at("198.51.100.1:1000"));
    desk.clock.advance(2min);
    desk.pairs->sweep();
    EXPECT_TRUE(desk.kernel.held.empty());  // B has said nothing for six minutes
    desk.clock.advance(5min);
    desk.pairs->sweep();
    EXPECT_EQ(desk.unpaired(1), 2);
    EXPECT_TRUE(desk.open.empty());
    EXPECT_EQ(desk.pairs->stats().pairs, 0u);
}

TEST(APair, EndsWhenEitherWantsItNoMore) {
    Forwarded desk;
    desk.pairs->unpair(desk.asker(3), {key_of(1), key_of(2)});  // of another session
    EXPECT_EQ(desk.kernel.held.size(), 1u);
    desk.pairs->unpair(desk.asker(1), {key_of(1), key_of(2)});
    EXPECT_TRUE(desk.kernel.held.empty());
    EXPECT_EQ(desk.unpaired(2), 1);
    EXPECT_EQ(desk.unpaired(1), -1);
    EXPECT_FALSE(desk.bind(*desk.a, at("198.51.100.1:1000")));
}

TEST(APair, EndsWithTheGrantOfEitherSide) {
    Forwarded desk;
    desk.clock.set_wall(desk.clock.now() + 23h);
    desk.pairs->granted(desk.asker(1), key_of(1));
    desk.pairs->sweep();
    EXPECT_EQ(desk.kernel.held.size(), 1u);
    desk.clock.set_wall(desk.clock.now() + 2h);  // B's has run out
    desk.pairs->sweep();
    EXPECT_TRUE(desk.kernel.held.empty());
    EXPECT_EQ(desk.unpaired(1), 1);
}

TEST(APair, EndsWhenANodeIsBarredOrItsTenantGone) {
    const TestTenant tenant(1);
    Forwarded desk;
    auto trust = tenant.trust({{node_uuid(9), "", desk.clock.now() + 1h},
                               {node_uuid(1), kNetwork2, desk.clock.now() + 1h}});
    desk.pairs->trust_changed(kTenant, &trust);
    EXPECT_EQ(desk.kernel.held.size(), 1u);
    trust.barred.push_back({node_uuid(1), kNetwork1, desk.clock.now() + 1h});
    desk.pairs->trust_changed("another", &trust);
    EXPECT_EQ(desk.kernel.held.size(), 1u);
    desk.pairs->trust_changed(kTenant, &trust);
    EXPECT_TRUE(desk.kernel.held.empty());
    Forwarded other;
    other.pairs->trust_changed(kTenant, nullptr);
    EXPECT_TRUE(other.kernel.held.empty());
}

TEST(APair, IsOfferedAgainAsItWasToASessionThatComesBack) {
    Forwarded desk;
    desk.pairs->pair({77, kTenant, node_uuid(1), kNetwork1, desk.clock.now() + 24h},
                     {key_of(1), key_of(2)});
    EXPECT_EQ(desk.ready(77), "192.0.2.9:49152");
    EXPECT_TRUE(desk.bind(*desk.a, at("198.51.100.1:1000")));
    EXPECT_EQ(desk.kernel.held.size(), 1u);
}

TEST(APair, IsBoundAnewWhereItsKeyHasGoneToAnotherNode) {
    Forwarded desk;
    desk.pairs->pair({77, kTenant, node_uuid(9), kNetwork1, desk.clock.now() + 24h},
                     {key_of(1), key_of(2)});
    EXPECT_TRUE(desk.kernel.held.empty());
    EXPECT_FALSE(desk.bind(*desk.a, at("198.51.100.1:1000")));
    EXPECT_TRUE(desk.bind(*desk.offer(77), at("198.51.100.9:9000")));
    EXPECT_EQ(desk.kernel.held.size(), 1u);
}

TEST(APair, IsOfTheNetworkOfBoth) {
    Desk desk;
    desk.ask(1, 2);
    desk.pairs->pair(desk.asker(2, kNetwork2), {key_of(2), key_of(1)});
    EXPECT_FALSE(desk.offer(2));
    EXPECT_EQ(desk.unpaired(2), 1);
    desk.pairs->pair(desk.asker(3), {key_of(3), key_of(3)});
    EXPECT_EQ(desk.unpaired(3), 3);
}

TEST(ARelayThatComesBack, AdoptsWhatItsKernelForwards) {
    Forwarded desk;
    desk.ask(1, 3);
    desk.ask(3, 1);
    const auto a3 = desk.offer(1), c = desk.offer(3);
    EXPECT_EQ(a3->port, 49153);  // A has the first with B
    desk.bind(*a3, at("198.51.100.1:1000"));
    desk.bind(*c, at("203.0.113.3:3000"));
    const auto held = desk.kernel.held;
    ASSERT_EQ(held.size(), 2u);
    desk.told.clear();
    desk.restart();
    EXPECT_EQ(desk.pairs->stats().adopted, 2u);
    EXPECT_EQ(desk.open, (std::set<uint16_t>{49152, 49153}));
    const int puts = desk.kernel.puts;
    // In another order than the first time: each gets the port that it has.
    desk.ask(3, 1);
    desk.ask(1, 3);
    const auto again = desk.offer(1), again_c = desk.offer(3);
    EXPECT_EQ(again->port, 49153);
    desk.bind(*again, at("198.51.100.1:1000"));
    desk.bind(*again_c, at("203.0.113.3:3000"));
    EXPECT_EQ(desk.kernel.puts, puts);
    EXPECT_EQ(desk.kernel.held, held);
    EXPECT_EQ(desk.ready(1), "192.0.2.9:49153");
    EXPECT_EQ(desk.pairs->stats().adopted, 1u);
    // What nobody asks for ends in the kernel by itself.
    desk.clock.advance(6min);
    desk.bind(*again, at("198.51.100.1:1000"));
    desk.pairs->sweep();
    EXPECT_EQ(desk.open, (std::set<uint16_t>{49153}));
}

TEST(ARelayThatComesBack, GivesANewPairNoPortThatAnAdoptedOneRunsOn) {
    Forwarded desk;
    desk.restart();
    desk.ask(1, 3);
    desk.ask(3, 1);
    const auto a3 = desk.offer(1), c = desk.offer(3);
    EXPECT_EQ(a3->port, 49153);
    desk.bind(*a3, at("198.51.100.1:1000"));
    desk.bind(*c, at("203.0.113.3:3000"));
    EXPECT_EQ(desk.ready(1), "192.0.2.9:49153");
    EXPECT_EQ(desk.kernel.held.size(), 2u);
}

TEST(ARelayThatComesBack, LetsANewPairHaveTheAdoptedOnesPlaceWhereThereIsNoOtherPort) {
    PairLimits limits;
    limits.first_port = limits.last_port = 49152;
    Forwarded desk(limits);
    desk.restart();
    desk.ask(1, 3);
    desk.ask(3, 1);
    const auto a3 = desk.offer(1), c = desk.offer(3);
    desk.bind(*a3, at("198.51.100.1:1000"));
    desk.bind(*c, at("203.0.113.3:3000"));
    EXPECT_EQ(desk.ready(1), "192.0.2.9:49152");
    EXPECT_EQ(desk.kernel.held.size(), 1u);
    EXPECT_EQ(desk.pairs->stats().adopted, 0u);
    EXPECT_EQ(desk.open, (std::set<uint16_t>{49152}));
}

TEST(PortsOfPairs, AreTheNextWhereSomebodyElseHasOne) {
    Desk desk;
    desk.taken = {49152, 49153};
    desk.ask(1, 2);
    EXPECT_EQ(desk.offer(1)->port, 49154);
}

TEST(PortsOfPairs, EndSometime) {
    PairLimits limits{49152, 49154};
    Desk desk(limits);
    for (uint8_t peer = 2; peer < 5; ++peer) {
        desk.ask(1, peer);
        EXPECT_TRUE(desk.offer(1));
    }
    desk.ask(1, 5);
    EXPECT_EQ(desk.unpaired(1), 3);
    desk.ask(5, 6);
    EXPECT_TRUE(desk.offer(5));
}

TEST(ATenantsPairs, AreCounted) {
    PairLimits limits;
    limits.a_tenant = 2;
    Desk desk(limits);
    desk.ask(1, 2);
    desk.ask(3, 4);
    desk.ask(5, 6);
    EXPECT_EQ(desk.unpaired(5), 3);
    desk.pairs->unpair(desk.asker(1), {key_of(1), key_of(2)});
    desk.ask(5, 6);
    EXPECT_TRUE(desk.offer(5));
}

TEST(APair, IsTriedAgainWhereTheKernelFailed) {
    Desk desk;
    desk.ask(1, 2);
    desk.ask(2, 1);
    const auto a = desk.offer(1), b = desk.offer(2);
    desk.kernel.is_broken = true;
    desk.bind(*a, at("198.51.100.1:1000"));
    desk.bind(*b, at("203.0.113.2:2000"));
    EXPECT_EQ(desk.ready(1), "");
    EXPECT_EQ(desk.pairs->stats().failed, 1u);
    desk.kernel.is_broken = false;
    desk.bind(*b, at("203.0.113.2:2000"));
    EXPECT_EQ(desk.ready(1), "192.0.2.9:49152");
}

// Whatever nodes ask and bind: of no port two pairs claim one address, and the kernel has what the
// desk believes it has.
RC_GTEST_PROP(Pairs, NeverShareAPlace, ()) {
    Desk desk;
    const int steps = *rc::gen::inRange(1, 200);
    std::vector<Offer> offers;
    for (int i = 0; i < steps; ++i) {
        const auto own = *rc::gen::inRange<uint8_t>(1, 6), peer = *rc::gen::inRange<uint8_t>(1, 6);
        const int what = *rc::gen::inRange(0, 10);
        if (what < 4) {
            desk.ask(own, peer);
            if (auto offer = desk.offer(own)) offers.push_back(std::move(*offer));
        } else if (what < 9 && !offers.empty()) {
            const auto& offer = offers[*rc::gen::inRange<size_t>(0, offers.size())];
            desk.bind(
                offer,
                {*Address::parse(*rc::gen::element<std::string>("198.51.100.1", "2001:db8::1")),
                 *rc::gen::inRange<uint16_t>(1, 5)});
        } else {
            desk.pairs->unpair(desk.asker(own), {key_of(own), key_of(peer)});
        }
        std::set<std::pair<uint16_t, Endpoint>> places;
        for (const auto& held : desk.kernel.held)
            for (const auto& place : {held.first, held.second})
                RC_ASSERT(places.emplace(held.port, place).second);
        RC_ASSERT(desk.pairs->stats().forwarded == desk.kernel.held.size());
    }
}

}  // namespace
}  // namespace cvlan::relay::test
