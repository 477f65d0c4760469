// SPDX-License-Identifier: Apache-2.0
// What the kernel announces of states and policies, on a real one.
#include "xfrm/monitor.h"

#include <gmock/gmock.h>
#include <linux/udp.h>
#include <netinet/in.h>

#include "tests/support/xfrm_pair.h"

namespace cvlan::xfrm {
namespace {

using tests::keys_for;
using tests::kPairIfId;
using tests::must;
using tests::run_in;
using tests::tunnel_state;

class XfrmMonitor : public tests::XfrmPair {
protected:
    void SetUp() override {
        XfrmPair::SetUp();
        auto monitor = Monitor::open(a().netns);
        ASSERT_TRUE(monitor) << monitor.error().message;
        monitor_ = std::make_unique<Monitor>(std::move(*monitor));
    }
    // All events of one kind that wait, or come within the time.
    template <class T>
    std::vector<T> heard(int wait_ms = 0) {
        std::vector<T> found;
        do {
            pollfd ready{monitor_->fd(), POLLIN, 0};
            if (poll(&ready, 1, wait_ms) != 1) return found;
            auto got = monitor_->read([&](const Event& event) {
                if (const T* one = std::get_if<T>(&event)) found.push_back(*one);
            });
            EXPECT_TRUE(got);
            EXPECT_FALSE(got->overrun);
        } while (found.empty());
        return found;
    }
    Monitor& monitor() { return *monitor_; }

private:
    std::unique_ptr<Monitor> monitor_;
};

TEST_F(XfrmMonitor, APacketThatMeetsATrapIsAnAcquire) {
    add_policies(a(), 1);
    (void)heard<PolicySet>();
    EXPECT_FALSE(ping());
    const auto acquires = heard<Acquire>();
    ASSERT_EQ(acquires.size(), 1u);  // one, for as long as the larval state stands
    const Acquire& acquire = acquires[0];
    EXPECT_EQ(acquire.if_id, kPairIfId);
    EXPECT_EQ(acquire.source.text(), "192.0.2.1");
    EXPECT_EQ(acquire.destination.text(), "192.0.2.2");
    EXPECT_EQ(acquire.protocol, 50);
    EXPECT_EQ(acquire.packet.destination.text(), "10.0.0.2/32");
    EXPECT_EQ(acquire.policy.templates.at(0).reqid, 7u);
    EXPECT_NE(acquire.sequence, 0u);
    // Answered under its sequence, the larval state goes and packets flow.
    add_policies(b(), 2);
    add_states(b());
    add_states(a(), [&](State& one) {
        if (one.id.destination.text() == "192.0.2.2") one.sequence = acquire.sequence;
    });
    EXPECT_TRUE(ping());
    EXPECT_EQ(a().client.states()->size(), 2u);
}

TEST_F(XfrmMonitor, AStateExpiresByItsBytes) {
    connect([](State& one) {
        one.limits.soft_bytes = 100;
        one.limits.hard_bytes = 400;
    });
    EXPECT_EQ(heard<StateSet>().size(), 2u);
    EXPECT_TRUE(ping("10.0.0.2", 3));  // the kernel looks before it counts
    auto expired = heard<StateExpired>(2000);
    ASSERT_FALSE(expired.empty());
    EXPECT_FALSE(expired[0].hard);
    EXPECT_EQ(expired[0].state.if_id, kPairIfId);
    EXPECT_GE(expired[0].state.usage.bytes, 100u);
    (void)ping("10.0.0.2", 8);
    expired = heard<StateExpired>(2000);
    ASSERT_FALSE(expired.empty());
    EXPECT_TRUE(expired.back().hard);
    EXPECT_EQ(a().client.state(expired.back().state.id).error().code, Code::NotFound);
}

TEST_F(XfrmMonitor, APeerThatSendsFromElsewhereIsAMapping) {
    std::vector<UniqueFd> sockets;
    for (tests::XfrmNode* node : {&a(), &b()}) {
        auto opened = node->netns.run([&]() -> Result<void> {
            UniqueFd fd(socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0));
            sockaddr_in any{};
            any.sin_family = AF_INET;
            any.sin_port = htons(4500);
            const int kind = UDP_ENCAP_ESPINUDP;
            if (bind(fd.get(), reinterpret_cast<const sockaddr*>(&any), sizeof any) != 0 ||
                setsockopt(fd.get(), IPPROTO_UDP, UDP_ENCAP, &kind, sizeof kind) != 0)
                return failed(errno_error("UDP_ENCAP"));
            sockets.push_back(std::move(fd));
            return {};
        });
        ASSERT_TRUE(opened) << opened.error().message;
    }
    connect([](State& one) {
        one.encapsulation = Encapsulation{.source_port = 4500, .destination_port = 4500};
    });
    EXPECT_TRUE(ping());
    EXPECT_TRUE(heard<MappingChanged>().empty());
    State sending = state(2, 1);
    sending.encapsulation = Encapsulation{.source_port = 1024, .destination_port = 4500};
    must_do(b().client.update_state(sending, keys_for(sending)));
    EXPECT_TRUE(ping());
    const auto mappings = heard<MappingChanged>();
    ASSERT_FALSE(mappings.empty());
    EXPECT_EQ(mappings[0].id, state(2, 1).id);
    EXPECT_EQ(mappings[0].reqid, 7u);
    EXPECT_EQ(mappings[0].before.text(), "192.0.2.2:4500");
    EXPECT_EQ(mappings[0].now.text(), "192.0.2.2:1024");
}

TEST_F(XfrmMonitor, HearsOfWhatOthersTakeAway) {
    connect();
    EXPECT_EQ(heard<StateSet>().size(), 2u);
    must(a().netns, "ip xfrm state delete src 192.0.2.1 dst 192.0.2.2 proto esp spi 0xc0de0002");
    auto removed = heard<StateRemoved>();
    ASSERT_EQ(removed.size(), 1u);
    EXPECT_EQ(removed[0].id, state(1, 2).id);
    EXPECT_EQ(removed[0].state->if_id, kPairIfId);
    must(a().netns, "ip xfrm state flush");
    EXPECT_EQ(heard<StatesFlushed>().size(), 1u);
    EXPECT_TRUE(a().client.states()->empty());
    must(a().netns, "ip xfrm policy delete dir out src fd00::/64 dst fd00::/64 if_id 0xca000001");
    EXPECT_EQ(heard<PolicyRemoved>().at(0).policy.if_id, kPairIfId);
    must(a().netns, "ip xfrm policy flush");
    EXPECT_EQ(heard<PoliciesFlushed>().size(), 1u);
    EXPECT_TRUE(a().client.policies()->empty());
}

TEST_F(XfrmMonitor, HearsOfUpdates) {
    connect();
    (void)heard<StateSet>();
    State sending = state(1, 2);
    sending.limits.soft_bytes = 4096;
    must_do(a().client.update_state(sending, keys_for(sending)));
    const auto states = heard<StateSet>();
    ASSERT_EQ(states.size(), 1u);
    EXPECT_TRUE(states[0].updated);
    EXPECT_EQ(states[0].state.limits.soft_bytes, 4096u);
    Policy policy =
        tests::tunnel_policy(Direction::Out, "192.0.2.1", "192.0.2.2", kPairIfId, "10.0.0.0/24");
    policy.blocks = true;
    policy.templates.clear();
    must_do(a().client.update_policy(policy));
    EXPECT_TRUE(heard<PolicySet>().at(0).updated);
}

TEST_F(XfrmMonitor, AFloodIsAnOverrunAndNotAnError) {
    for (uint32_t i = 0; i < 4000; ++i) {
        const State one = tunnel_state("192.0.2.1", "192.0.2.2", 0x10000 + i, 5);
        must_do(a().client.add_state(one, keys_for(one)));
    }
    bool overrun = false;
    for (bool more = true; more;) {
        auto got = monitor().read([](const Event&) {});
        ASSERT_TRUE(got) << got.error().message;
        overrun = overrun || got->overrun;
        more = got->more;
    }
    EXPECT_TRUE(overrun);
    EXPECT_GE(monitor().overruns(), 1u);
    EXPECT_EQ(a().client.remove_states(5).value(), 4000u);
}

}  // namespace
}  // namespace cvlan::xfrm
