// SPDX-License-Identifier: Apache-2.0
#include "vici/sa.h"

#include <gtest/gtest.h>

namespace cvlan::vici {
namespace {

Message child_section(const std::string& id) {
    Message child;
    child.put("name", "net").put("uniqueid", id).put("reqid", "1").put("state", "INSTALLED");
    child.put("mode", "TUNNEL").put("protocol", "ESP").put("encap", "yes");
    child.put("spi-in", "c0ffee01").put("spi-out", "00000abc");
    child.put("if-id-in", "ca000001").put("if-id-out", "ca000002");
    child.put("encr-alg", "AES_GCM_16").put("encr-keysize", "256").put("esn", "1");
    child.put("bytes-in", "18446744073709551615").put("packets-in", "3").put("use-in", "2");
    child.put("bytes-out", "0").put("packets-out", "0");
    child.put("rekey-time", "-3").put("life-time", "3900").put("install-time", "60");
    child.put_list("local-ts", std::vector<std::string>{"10.0.0.0/8", "fd00::/8"});
    child.put_list("remote-ts", std::vector<std::string>{"0.0.0.0/0[tcp/80]"});
    return child;
}

Message ike_section() {
    Message ike;
    ike.put("uniqueid", "7").put("version", "2").put("state", "ESTABLISHED");
    ike.put("local-host", "192.0.2.1").put("local-port", "4500").put("local-id", "a.example");
    ike.put("remote-host", "192.0.2.2").put("remote-port", "65535").put("remote-id", "evil\x1b[m");
    ike.put("initiator", "yes").put("initiator-spi", "0123456789abcdef");
    ike.put("responder-spi", "fedcba9876543210").put("nat-remote", "yes");
    ike.put("encr-alg", "AES_GCM_16")
        .put("encr-keysize", "256")
        .put("prf-alg", "PRF_HMAC_SHA2_384");
    ike.put("dh-group", "ECP_384").put("established", "61").put("rekey-time", "14000");
    ike.put_list("local-vips", std::vector<std::string>{"10.9.0.1"});
    ike.put("of-a-newer-version", "skipped");
    return ike;
}

Message in(const std::string& name, Message section) {
    Message message;
    message.put_section(name, std::move(section));
    return message;
}

Message entry() {
    Message ike = ike_section();
    Message children;
    children.put_section("net-1", child_section("1")).put_section("net-2", child_section("2"));
    ike.put_section("child-sas", std::move(children));
    return in("cvlan-a", std::move(ike));
}

TEST(IkeSa, IsReadFromAnEntryOfListSas) {
    const IkeSa sa = parse_ike_sa(entry()).value();
    EXPECT_EQ(sa.name, "cvlan-a");
    EXPECT_EQ(sa.unique_id, 7u);
    EXPECT_TRUE(sa.is_established());
    EXPECT_EQ(sa.remote_port, 65535);
    EXPECT_EQ(sa.remote_id, "evil?[m");
    EXPECT_TRUE(sa.initiator);
    EXPECT_EQ(sa.initiator_spi, 0x0123456789abcdefu);
    EXPECT_EQ(sa.responder_spi, 0xfedcba9876543210u);
    EXPECT_FALSE(sa.nat_local);
    EXPECT_TRUE(sa.nat_remote);
    EXPECT_EQ(sa.established, Seconds(61));
    EXPECT_EQ(sa.rekey_time, Seconds(14000));
    EXPECT_EQ(sa.reauth_time, std::nullopt);
    EXPECT_EQ(sa.local_vips, std::vector<std::string>{"10.9.0.1"});
    ASSERT_EQ(sa.child_sas.size(), 2u);
}

TEST(ChildSa, IsReadWithItsSpisAndItsTraffic) {
    const IkeSa ike = parse_ike_sa(entry()).value();
    const ChildSa& sa = ike.child_sas[1];
    EXPECT_EQ(sa.name, "net");
    EXPECT_EQ(sa.unique_id, 2u);
    EXPECT_TRUE(sa.is_installed());
    EXPECT_TRUE(sa.encap);
    EXPECT_TRUE(sa.esn);
    EXPECT_EQ(sa.spi_in, 0xc0ffee01u);
    EXPECT_EQ(sa.spi_out, 0xabcu);
    EXPECT_EQ(sa.if_id_in, 0xca000001u);
    EXPECT_EQ(sa.if_id_out, 0xca000002u);
    EXPECT_EQ(sa.in, (Traffic{18446744073709551615u, 3, Seconds(2)}));
    EXPECT_EQ(sa.out, (Traffic{0, 0, std::nullopt}));
    EXPECT_EQ(sa.rekey_time, Seconds(-3));
    EXPECT_EQ(sa.local_ts, (std::vector<std::string>{"10.0.0.0/8", "fd00::/8"}));
    EXPECT_EQ(sa.remote_ts, (std::vector<std::string>{"0.0.0.0/0[tcp/80]"}));
}

TEST(IkeSa, WithoutChildrenIsNone) {
    EXPECT_TRUE(parse_ike_sa(in("(unnamed)", ike_section()))->child_sas.empty());
}

TEST(IkeSa, IsRefusedWhereAKnownFieldIsNotWhatItShouldBe) {
    const std::pair<const char*, const char*> wrong[] = {
        {"uniqueid", "4294967296"}, {"uniqueid", "-1"},
        {"uniqueid", ""},           {"uniqueid", "1 "},
        {"uniqueid", "0x1"},        {"version", "two"},
        {"local-port", "65536"},    {"initiator", "perhaps"},
        {"initiator-spi", "xyz"},   {"initiator-spi", "10123456789abcdef0"},
        {"established", "1.5"},
    };
    for (const auto& [key, value] : wrong) {
        Message ike;
        if (key != std::string_view("uniqueid")) ike.put("uniqueid", "1");
        ike.put("state", "ESTABLISHED").put(key, value);
        const auto sa = parse_ike_sa(in("a", ike));
        ASSERT_FALSE(sa) << key << " " << value;
        EXPECT_EQ(sa.error().code, Code::Malformed);
        EXPECT_NE(sa.error().message.find(key), std::string::npos) << sa.error().message;
    }
}

TEST(IkeSa, NeedsItsNumberItsStateAndOneConnection) {
    Message no_state, no_id;
    no_state.put("uniqueid", "1");
    no_id.put("state", "ESTABLISHED");
    Message two = entry();
    two.put_section("cvlan-b", ike_section());
    for (const Message& bad : {in("a", no_state), in("a", no_id), Message(), two})
        EXPECT_EQ(parse_ike_sa(bad).error().code, Code::Malformed);
    Message children, ike = ike_section();
    children.put("net-1", "no section");
    ike.put_section("child-sas", std::move(children));
    EXPECT_EQ(parse_ike_sa(in("a", ike)).error().code, Code::Malformed);
}

TEST(SaEvent, SaysUpAndDown) {
    Message up = in("cvlan-a", ike_section());
    up.put("up", "yes");
    EXPECT_EQ(parse_sa_event("ike-updown", up)->kind, SaEventKind::IkeUp);
    // charon leaves the key out where it is down.
    EXPECT_EQ(parse_sa_event("ike-updown", in("cvlan-a", ike_section()))->kind,
              SaEventKind::IkeDown);
}

TEST(SaEvent, OfAChildHasThatOne) {
    Message ike = ike_section(), children;
    children.put_section("net-1", child_section("1"));
    ike.put_section("child-sas", std::move(children));
    const auto event = parse_sa_event("child-updown", in("cvlan-a", ike)).value();
    EXPECT_EQ(event.kind, SaEventKind::ChildDown);
    ASSERT_EQ(event.ike.child_sas.size(), 1u);
    EXPECT_EQ(event.ike.child_sas[0].spi_in, 0xc0ffee01u);
    EXPECT_FALSE(parse_sa_event("child-updown", in("cvlan-a", ike_section())));
    EXPECT_FALSE(parse_sa_event("child-updown", entry()));
}

TEST(SaEvent, OfARekeyHasOldAndNew) {
    Message pair;
    pair.put_section("old", ike_section()).put_section("new", ike_section());
    const auto ike = parse_sa_event("ike-rekey", in("cvlan-a", pair)).value();
    EXPECT_EQ(ike.kind, SaEventKind::IkeRekey);
    ASSERT_TRUE(ike.old_ike);
    EXPECT_EQ(ike.old_ike->unique_id, 7u);

    Message children, both, section = ike_section();
    both.put_section("old", child_section("1")).put_section("new", child_section("2"));
    children.put_section("net-2", std::move(both));
    section.put_section("child-sas", std::move(children));
    const auto child = parse_sa_event("child-rekey", in("cvlan-a", section)).value();
    EXPECT_EQ(child.kind, SaEventKind::ChildRekey);
    ASSERT_TRUE(child.old_child);
    EXPECT_EQ(child.old_child->unique_id, 1u);
    EXPECT_EQ(child.ike.child_sas.at(0).unique_id, 2u);
}

TEST(SaEvent, IsRefusedWhereHalfOfItIsMissing) {
    Message half;
    half.put_section("new", ike_section());
    EXPECT_EQ(parse_sa_event("ike-rekey", in("a", half)).error().code, Code::Malformed);
    EXPECT_EQ(parse_sa_event("ike-rekey", Message()).error().code, Code::Malformed);
    EXPECT_EQ(parse_sa_event("child-rekey", in("a", ike_section())).error().code, Code::Malformed);
    Message children, section = ike_section();
    children.put_section("net-1", child_section("1"));
    section.put_section("child-sas", std::move(children));
    EXPECT_EQ(parse_sa_event("child-rekey", in("a", section)).error().code, Code::Malformed);
    EXPECT_EQ(parse_sa_event("log", Message()).error().code, Code::Unsupported);
}

}  // namespace
}  // namespace cvlan::vici
