// SPDX-License-Identifier: Apache-2.0
#include "xfrm/event.h"

#include <gtest/gtest.h>
#include <linux/xfrm.h>
#include <netinet/in.h>

#include "tests/support/xfrm_values.h"
#include "xfrm/encode.h"
#include "xfrm/wire.h"

namespace cvlan::xfrm {
namespace {

using netlink::Message;
using tests::tunnel_policy;
using tests::tunnel_state;

template <class Header>
Result<std::optional<Event>> event_of(uint16_t type, const Header& header,
                                      const std::function<void(Message&)>& fill = {}) {
    Message message(type, 0);
    message.put_header(header);
    if (fill) fill(message);
    return parse_event({type, 0, message.payload()});
}

void put_templates(Message& message, const Policy& policy) {
    message.put(XFRMA_TMPL, *to_wire(policy.templates.at(0)));
    message.put(XFRMA_IF_ID, policy.if_id);
}

TEST(ParseEvent, AnAcquireHasTheFamilyOfItsTunnel) {
    // IPv6 within, IPv4 without.
    const Policy policy = tunnel_policy(Direction::Out, "192.0.2.1", "192.0.2.2", 9, "fd00::/64");
    xfrm_user_acquire wire{};
    wire.id.daddr = to_wire(*Address::parse("192.0.2.2"));
    wire.id.proto = 50;
    wire.saddr = to_wire(*Address::parse("192.0.2.1"));
    wire.sel = *to_wire(policy.selector);
    wire.policy = *to_wire(policy);
    wire.seq = 4;
    const auto event =
        event_of(XFRM_MSG_ACQUIRE, wire, [&](Message& m) { put_templates(m, policy); });
    ASSERT_TRUE(event) << event.error().message;
    const auto& acquire = std::get<Acquire>(**event);
    EXPECT_EQ(acquire.source.text(), "192.0.2.1");
    EXPECT_EQ(acquire.destination.text(), "192.0.2.2");
    EXPECT_EQ(acquire.packet, policy.selector);
    EXPECT_EQ(acquire.protocol, 50);
    EXPECT_EQ(acquire.sequence, 4u);
    EXPECT_EQ(acquire.if_id, 9u);
    EXPECT_EQ(acquire.policy, policy);
    // Without a template the packet's family is all there is.
    const auto bare = event_of(XFRM_MSG_ACQUIRE, wire);
    ASSERT_TRUE(bare);
    EXPECT_FALSE(std::get<Acquire>(**bare).destination.is_v4());
    wire.sel.prefixlen_s = 129;
    EXPECT_FALSE(event_of(XFRM_MSG_ACQUIRE, wire));
    wire.policy.dir = 9;
    EXPECT_FALSE(event_of(XFRM_MSG_ACQUIRE, wire));
}

TEST(ParseEvent, SoftAndHardAreToldApart) {
    const State state = tunnel_state("192.0.2.1", "192.0.2.2", 0x1001, 9);
    xfrm_user_expire wire{};
    wire.state = *to_wire(state);
    for (const bool hard : {false, true}) {
        wire.hard = hard ? 1 : 0;
        const auto event =
            event_of(XFRM_MSG_EXPIRE, wire, [](Message& m) { m.put(XFRMA_IF_ID, uint32_t{9}); });
        ASSERT_TRUE(event);
        EXPECT_EQ(std::get<StateExpired>(**event).hard, hard);
        EXPECT_EQ(std::get<StateExpired>(**event).state.id, state.id);
        EXPECT_EQ(std::get<StateExpired>(**event).state.if_id, 9u);
    }
    const Policy policy = tunnel_policy(Direction::In, "192.0.2.1", "192.0.2.2", 9);
    xfrm_user_polexpire expired{};
    expired.pol = *to_wire(policy);
    expired.hard = 1;
    const auto event =
        event_of(XFRM_MSG_POLEXPIRE, expired, [&](Message& m) { put_templates(m, policy); });
    EXPECT_EQ(std::get<PolicyExpired>(**event).policy, policy);
    EXPECT_TRUE(std::get<PolicyExpired>(**event).hard);
}

TEST(ParseEvent, AMappingHasBothPlaces) {
    xfrm_user_mapping wire{};
    wire.id = to_wire(StateId{.destination = *Address::parse("192.0.2.2"), .spi = 0x1001});
    wire.reqid = 7;
    wire.old_saddr = to_wire(*Address::parse("198.51.100.1"));
    wire.new_saddr = to_wire(*Address::parse("198.51.100.2"));
    wire.old_sport = htons(4500);
    wire.new_sport = htons(1024);
    const auto event = event_of(XFRM_MSG_MAPPING, wire);
    ASSERT_TRUE(event);
    const auto& mapping = std::get<MappingChanged>(**event);
    EXPECT_EQ(mapping.id.spi, 0x1001u);
    EXPECT_EQ(mapping.reqid, 7u);
    EXPECT_EQ(mapping.before.text(), "198.51.100.1:4500");
    EXPECT_EQ(mapping.now.text(), "198.51.100.2:1024");
    wire.id.family = 7;
    EXPECT_FALSE(event_of(XFRM_MSG_MAPPING, wire));
}

TEST(ParseEvent, ReadsTheRest) {
    xfrm_user_report report{};
    report.proto = 43;
    report.sel = *to_wire(tunnel_policy(Direction::In, "192.0.2.1", "192.0.2.2", 9).selector);
    auto event = event_of(XFRM_MSG_REPORT, report);
    EXPECT_EQ(std::get<Report>(**event).protocol, 43);
    report.sel.family = 3;
    EXPECT_FALSE(event_of(XFRM_MSG_REPORT, report));

    const State state = tunnel_state("192.0.2.1", "192.0.2.2", 0x1001, 0);
    for (const uint16_t type : {XFRM_MSG_NEWSA, XFRM_MSG_UPDSA}) {
        event = event_of(type, *to_wire(state));
        EXPECT_EQ(std::get<StateSet>(**event).updated, type == XFRM_MSG_UPDSA);
        EXPECT_EQ(std::get<StateSet>(**event).state.id, state.id);
    }
    const Policy policy = tunnel_policy(Direction::In, "192.0.2.1", "192.0.2.2", 9);
    for (const uint16_t type : {XFRM_MSG_NEWPOLICY, XFRM_MSG_UPDPOLICY}) {
        event = event_of(type, *to_wire(policy), [&](Message& m) { put_templates(m, policy); });
        EXPECT_EQ(std::get<PolicySet>(**event).updated, type == XFRM_MSG_UPDPOLICY);
        EXPECT_EQ(std::get<PolicySet>(**event).policy, policy);
    }
    event = event_of(XFRM_MSG_FLUSHSA, xfrm_usersa_flush{50});
    EXPECT_EQ(std::get<StatesFlushed>(**event).protocol, 50);
    // A removal without its subject still names the state, and says nothing of a policy.
    event = event_of(XFRM_MSG_DELSA, to_wire(state.id));
    EXPECT_EQ(std::get<StateRemoved>(**event).id, state.id);
    EXPECT_FALSE(std::get<StateRemoved>(**event).state);
    EXPECT_FALSE(event_of(XFRM_MSG_DELPOLICY, xfrm_userpolicy_id{}));
}

TEST(ParseEvent, AnUnknownTypeIsNoEventAndNoError) {
    const auto event = parse_event({XFRM_MSG_MIGRATE, 0, {}});
    ASSERT_TRUE(event);
    EXPECT_FALSE(*event);
}

TEST(ParseEvent, RejectsWhatIsTooShort) {
    for (uint16_t type = XFRM_MSG_BASE; type <= XFRM_MSG_MAPPING; ++type) {
        auto event = parse_event({type, 0, {}});
        const bool is_empty = type == XFRM_MSG_FLUSHPOLICY || (event && !*event);
        EXPECT_EQ(event.has_value(), is_empty) << type;
    }
}

}  // namespace
}  // namespace cvlan::xfrm
