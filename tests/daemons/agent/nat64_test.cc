// SPDX-License-Identifier: Apache-2.0
#include "daemons/agent/nat64.h"

#include <gtest/gtest.h>

#include "tests/daemons/agent/fake_controller.h"

namespace cvlan::agent {
namespace {

using namespace testing;

Address ip(std::string_view text) { return *Address::parse(text); }
Endpoint at(std::string_view text) { return *Endpoint::parse(text); }
std::optional<reach::Nat64> nat64(std::string_view prefix) {
    return *reach::Nat64::of(*Prefix::parse(prefix));
}

// Resolvers that answer when the test has them do so.
struct Resolvers {
    http::Lookup::Done open;
    int asked = 0;
    AskNat64 ask() {
        return [this](http::Lookup::Done done) {
            ++asked;
            open = std::move(done);
            return std::make_shared<int>(asked);
        };
    }
    void answer(Result<std::vector<Address>> answers) {
        const auto done = std::exchange(open, nullptr);
        ASSERT_TRUE(done);
        done(std::move(answers));
    }
    void answer(std::string_view address) { answer(std::vector{ip(address)}); }
};

class Nat64SearchTest : public ::testing::Test {
protected:
    bool until(const std::function<bool()>& claim) {
        for (int i = 0; i < 500 && !claim(); ++i) loop.run_once(std::chrono::milliseconds(10));
        return claim();
    }
    EventLoop loop;
    Resolvers resolvers;
    int changes = 0;
    Nat64Search search{loop, 1, resolvers.ask(), [this] { ++changes; }};
    const std::vector<Address> here{ip("2001:db8:1::1")}, elsewhere{ip("2001:db8:2::1")};
};

TEST_F(Nat64SearchTest, WhoHasIpv4AsksNobody) {
    search.look(false, here);
    search.look(false, elsewhere);
    EXPECT_EQ(resolvers.asked, 0);
}

TEST_F(Nat64SearchTest, ThePrefixIsAskedForOnceAndToldOnce) {
    search.look(true, here);
    search.look(true, here);
    EXPECT_EQ(resolvers.asked, 1);
    resolvers.answer("64:ff9b::192.0.0.170");
    EXPECT_EQ(search.found(), nat64("64:ff9b::/96"));
    search.look(true, here);
    EXPECT_EQ(resolvers.asked, 1);
    EXPECT_EQ(changes, 1);
}

TEST_F(Nat64SearchTest, AnotherNetworkIsAskedAndWhatWasFoundStandsUntilItSaysOtherwise) {
    search.look(true, here);
    resolvers.answer("64:ff9b::192.0.0.170");
    search.look(true, elsewhere);
    EXPECT_EQ(resolvers.asked, 2);
    EXPECT_EQ(search.found(), nat64("64:ff9b::/96"));
    resolvers.answer(fail(Code::Unavailable, "no resolver answers"));
    EXPECT_EQ(search.found(), nat64("64:ff9b::/96"));
    ASSERT_TRUE(until([&] { return resolvers.asked == 3; })) << "it is asked again";
    resolvers.answer("2001:db8:64::192.0.0.171");
    EXPECT_EQ(search.found(), nat64("2001:db8:64::/96"));
    EXPECT_EQ(changes, 2);
}

TEST_F(Nat64SearchTest, WhereThereIsNoneItIsAskedAgainAndWhereThereIsIpv4NoMore) {
    search.look(true, here);
    resolvers.answer("64:ff9b::192.0.0.170");
    search.look(true, elsewhere);
    resolvers.answer(fail(Code::NotFound, "there is none"));
    EXPECT_FALSE(search.found());
    EXPECT_EQ(changes, 2);
    ASSERT_TRUE(until([&] { return resolvers.asked == 3; }));
    search.look(false, elsewhere);
    EXPECT_FALSE(search.found());
}

// What is sent through it and what comes back by it.
struct Datagrams final : public PathSockets {
    void set_receiver(Came came) override { came_ = std::move(came); }
    void set(const std::map<std::string, uint16_t>&) override {}
    bool send(const std::string&, const reach::RawUdp::Outgoing& datagram) override {
        sent.push_back(datagram.to);
        return true;
    }
    std::string trouble() const override { return ""; }
    Came came_;
    std::vector<Endpoint> sent;
};

TEST(Nat64Sockets, WhatIsPublicIpv4GoesAndComesByThePrefix) {
    auto inner = std::make_unique<Datagrams>();
    Datagrams& below = *inner;
    const auto shared = std::make_shared<std::optional<reach::Nat64>>();
    Nat64Sockets sockets(std::move(inner), shared);
    std::vector<Endpoint> came;
    sockets.set_receiver([&](const std::string&, const auto& got) { came.push_back(got.from); });
    const auto both = [&] {
        below.sent.clear();
        came.clear();
        (void)sockets.send("cv-a", {.to = at("198.51.100.7:9")});
        (void)sockets.send("cv-a", {.to = at("[2001:db8::9]:9")});
        below.came_("cv-a", {at("[64:ff9b::198.51.100.7]:9"), ip("2001:db8:1::1"), {}});
    };
    both();
    EXPECT_EQ(below.sent, (std::vector{at("198.51.100.7:9"), at("[2001:db8::9]:9")}));
    EXPECT_EQ(came, std::vector{at("[64:ff9b::198.51.100.7]:9")});
    *shared = nat64("64:ff9b::/96");
    both();
    EXPECT_EQ(below.sent, (std::vector{at("[64:ff9b::198.51.100.7]:9"), at("[2001:db8::9]:9")}));
    EXPECT_EQ(came, std::vector{at("198.51.100.7:9")});
}

// An enrolled agent on a machine with IPv6 alone, whose peers have IPv4 alone.
struct Nat64AgentTest : ::testing::Test {
    EventLoop loop;
    FakeController controller{loop};
    Machine machine{loop};
    Resolvers resolvers;

    void bring_up() {
        machine.underlay = {{}, {ip("2001:db8:1::1")}, false, true};
        machine.ask_nat64 = resolvers.ask();
        machine.start();
        local::UpRequest request;
        request.token = controller.token();
        controller.publish(controller.issuer.maps.usual(5, 3, "x"));
        std::optional<Answer<local::UpResult>> answer;
        machine.agent->up(request, [&](auto a) { answer = std::move(a); });
        ASSERT_TRUE(machine.until([&] { return controller.enrolment || answer; }));
        controller.publish(controller.issuer.maps.usual(
            6, 3, controller.enrolment ? *controller.enrolment->wireguard_public_key : ""));
        ASSERT_TRUE(machine.until([&] { return answer.has_value(); }));
        ASSERT_TRUE(*answer) << answer->error().error.message;
    }
    std::optional<Endpoint> first_of_kernel() {
        const auto* device = machine.device();
        return device && !device->peers.empty() ? device->peers[0].endpoint : std::nullopt;
    }
};

TEST_F(Nat64AgentTest, TheKernelGetsIpv6WhereTheMapSaysIpv4) {
    bring_up();
    ASSERT_EQ(resolvers.asked, 1);
    resolvers.answer("64:ff9b::192.0.0.170");
    EXPECT_TRUE(machine.until([&] {
        return first_of_kernel() == at("[64:ff9b::192.0.2.2]:51820") &&
               machine.agent->plan()->steps.empty();
    })) << (first_of_kernel() ? first_of_kernel()->text() : "none");
    EXPECT_TRUE(machine.agent->plan()->steps.empty()) << "what it wants is what it sees";
    for (const auto& peer : machine.agent->status().peers)
        EXPECT_TRUE(peer.endpoint && peer.endpoint->starts_with("192.0.2."));
}

}  // namespace
}  // namespace cvlan::agent
