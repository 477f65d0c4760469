// SPDX-License-Identifier: Apache-2.0
#include "ike/plan.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace cvlan::ike {
namespace {

using namespace std::chrono_literals;
using testing::ElementsAre;
using testing::IsEmpty;
using Lines = std::vector<std::string>;

constexpr uint32_t kIfId = 0xca000001;

struct World {
    World() {
        own.name = "n5.t.example";
        own.node_id = "n5";
        own.certificates = {"leaf", "intermediate"};
        own.roots = {"root"};
        add("n7", {"192.0.2.7", "2001:db8::7", "198.51.100.7"});
        want.first_if_id = kIfId;
        want.if_ids = 1;
    }
    void add(const std::string& id, const std::vector<std::string>& places) {
        Peer peer{.node_id = id, .name = id + ".t.example"};
        for (const std::string& text : places) peer.underlay.push_back(*Address::parse(text));
        peer.networks = {
            {"net", kIfId, {*Address::parse("10.1.0.5")}, {*Address::parse("10.1.0.7")}}};
        auto tunnel = tunnel_to(own, peer, {});
        want.tunnels[tunnel.connection.name] = tunnel;
    }
    // As it is after what was planned has been done.
    Lines round(std::chrono::seconds after = 4s) {
        now += after;
        seen.policies.clear();
        if (has_policies && !seen.connections.empty()) policy();
        for (const auto& sa : seen.sas)
            for (const auto& child : sa.child_sas)
                if (has_states && child.is_installed())
                    for (const uint32_t spi : {child.spi_in, child.spi_out})
                        state(spi, child.reqid);
        last = plan(want, seen, memory, now);
        for (const auto& connection : last.load) {
            memory.told[connection.name] = connection;
            if (std::find(seen.connections.begin(), seen.connections.end(), connection.name) ==
                seen.connections.end())
                seen.connections.push_back(connection.name);
        }
        return last.lines();
    }
    vici::IkeSa sa(uint32_t id, bool initiator, const std::string& state = "ESTABLISHED") {
        vici::IkeSa one;
        one.name = "cvlan-n7";
        one.unique_id = id;
        one.initiator = initiator;
        one.state = state;
        if (state == "ESTABLISHED") {
            vici::ChildSa& child = one.child_sas.emplace_back();
            child.name = "net";
            child.unique_id = id + 100;
            child.state = "INSTALLED";
            child.reqid = reqid_of("net", "n7");
            child.spi_in = id * 2;
            child.spi_out = id * 2 + 1;
        }
        return one;
    }
    void policy() {
        xfrm::Policy one;
        one.if_id = kIfId;
        one.selector.source = *Prefix::parse("10.1.0.5/32");
        one.selector.destination = *Prefix::parse("10.1.0.7/32");
        seen.policies.push_back(one);
    }
    void state(uint32_t spi, uint32_t reqid, bool larval = false) {
        xfrm::State one;
        for (const auto& there : seen.states)
            if (there.id.spi == spi) return;
        one.id = {*Address::parse("192.0.2.7"), spi};
        one.reqid = reqid;
        one.if_id = kIfId;
        if (!larval) one.aead = xfrm::Algorithm{"rfc4106(gcm(aes))", 288, 128};
        seen.states.push_back(one);
    }

    Identity own;
    Wanted want;
    Seen seen;
    Memory memory;
    BootTime now{100s};
    Plan last;
    // The kernel has what charon believes.
    bool has_policies = true;
    bool has_states = true;
};

TEST(IkePlan, IsEmptyOnceAllIsAsWanted) {
    World world;
    EXPECT_THAT(world.round(), ElementsAre("load cvlan-n7"));
    EXPECT_THAT(world.round(), IsEmpty());
    world.seen.sas = {world.sa(1, true)};
    EXPECT_THAT(world.round(), IsEmpty());
}

TEST(IkePlan, TellsACharonThatKnowsNothingAllAgain) {
    World world;
    world.round();
    world.seen.connections.clear();
    EXPECT_THAT(world.round(), ElementsAre("load cvlan-n7"));
    world.memory.forget_charon();
    EXPECT_THAT(world.round(), ElementsAre("load cvlan-n7")) << "it may have been told otherwise";
}

TEST(IkePlan, ReplacesAConnectionThatChanged) {
    World world;
    world.round();
    world.add("n7", {"192.0.2.8"});
    EXPECT_THAT(world.round(), ElementsAre("load cvlan-n7"));
    EXPECT_EQ(world.last.load[0].remote_addrs, (vici::Texts{"192.0.2.8", "%any"}));
}

TEST(IkePlan, TakesAwayWhatIsOursAndNotWantedAndNothingElse) {
    World world;
    world.round();
    world.seen.connections.push_back("cvlan-n9");
    world.seen.connections.push_back("office");
    world.seen.sas = {world.sa(1, true), world.sa(2, true), world.sa(3, true)};
    world.seen.sas[1].name = "cvlan-n9";
    world.seen.sas[2].name = "office";
    EXPECT_THAT(world.round(), ElementsAre("terminate IKE_SA 2", "unload cvlan-n9"));
}

TEST(IkePlan, EndsTheSaOfANetworkThatTheyShareNoMore) {
    World world;
    world.round();
    world.seen.sas = {world.sa(1, true)};
    world.seen.sas[0].child_sas[0].name = "another";
    EXPECT_THAT(world.round(), ElementsAre("terminate CHILD_SA 101"));
}

TEST(IkePlan, CallsAPeerAtItsNextAddressWhenItDoesNotAnswer) {
    World world;
    world.round();
    world.seen.sas = {world.sa(1, true, "CONNECTING")};
    EXPECT_THAT(world.round(), IsEmpty());
    EXPECT_THAT(world.round(), IsEmpty()) << "4 s";
    EXPECT_THAT(world.round(),
                ElementsAre("load cvlan-n7", "initiate cvlan-n7 net", "terminate IKE_SA 1"));
    EXPECT_EQ(world.last.load[0].remote_addrs,
              (vici::Texts{"2001:db8::7", "198.51.100.7", "192.0.2.7", "%any"}));
    // One that has answered is slow, and no other address would be faster.
    world.seen.sas = {world.sa(3, true, "CONNECTING")};
    world.seen.sas[0].responder_spi = 7;
    EXPECT_THAT(world.round(30s), IsEmpty());
    EXPECT_THAT(world.round(30s), IsEmpty());
    // One that calls us is left to it.
    world.seen.sas = {world.sa(2, false, "CONNECTING")};
    EXPECT_THAT(world.round(30s), IsEmpty());
}

TEST(IkePlan, CallsAPeerWhereItAnswersAsSoonAsThatIsKnown) {
    World world;
    world.round();
    world.seen.sas = {world.sa(1, true, "CONNECTING")};
    world.seen.sas[0].remote_host = "192.0.2.7";
    world.seen.sas[0].remote_port = 500;
    world.want.tunnels.at("cvlan-n7").path = *Endpoint::parse("203.0.113.9:40001");
    EXPECT_THAT(world.round(), ElementsAre("initiate cvlan-n7 net", "terminate IKE_SA 1"));
    world.seen.sas = {world.sa(2, true, "CONNECTING")};
    world.seen.sas[0].remote_host = "203.0.113.9";
    world.seen.sas[0].remote_port = 40001;
    EXPECT_THAT(world.round(), IsEmpty());
    // At the usual port IKE begins at 500.
    world.want.tunnels.at("cvlan-n7").path = *Endpoint::parse("203.0.113.9:4500");
    world.seen.sas[0].remote_port = 500;
    EXPECT_THAT(world.round(), IsEmpty());
}

TEST(IkePlan, ATunnelThatGoesByAnotherWayThanThePathIsSetUpAnewByOneOfTheEnds) {
    for (const bool is_lower : {true, false}) {
        World world;
        Tunnel& tunnel = world.want.tunnels.at("cvlan-n7");
        tunnel.keeps_own = is_lower;
        world.round();
        world.seen.sas = {world.sa(1, true)};
        world.seen.sas[0].remote_host = "203.0.113.200";
        world.seen.sas[0].remote_port = 49152;
        tunnel.path = *Endpoint::parse("203.0.113.200:49152");
        EXPECT_THAT(world.round(), IsEmpty());
        tunnel.path = *Endpoint::parse("203.0.113.9:40001");
        const Lines moved = world.round();
        if (!is_lower) {
            EXPECT_THAT(moved, IsEmpty());
            continue;
        }
        EXPECT_THAT(moved, ElementsAre("initiate cvlan-n7 net"));
        EXPECT_THAT(world.round(), IsEmpty()) << "it is under way, or has failed";
        EXPECT_THAT(world.round(30s), ElementsAre("initiate cvlan-n7 net"));
        // Where it stands, the other one goes.
        world.seen.sas.push_back(world.sa(2, true));
        world.seen.sas[1].remote_host = "203.0.113.9";
        world.seen.sas[1].remote_port = 40001;
        EXPECT_THAT(world.round(), IsEmpty());
        EXPECT_THAT(world.round(), ElementsAre("terminate IKE_SA 1"));
    }
}

TEST(IkePlan, OfTwoIkeSasBothEndsKeepTheSame) {
    for (const bool is_lower : {true, false}) {
        World world;
        world.round();
        world.want.tunnels.at("cvlan-n7").keeps_own = is_lower;
        // 1 was begun by the end with the lower id.
        world.seen.sas = {world.sa(1, is_lower), world.sa(2, !is_lower)};
        EXPECT_THAT(world.round(), IsEmpty()) << "a moment's double is no matter";
        EXPECT_THAT(world.round(), ElementsAre("terminate IKE_SA 2"));
    }
    World world;
    world.round();
    world.seen.sas = {world.sa(1, false), world.sa(2, false)};
    world.round();
    EXPECT_THAT(world.round(), ElementsAre("terminate IKE_SA 1")) << "of two the newer one";
    world.seen.sas[1].state = "REKEYED";
    EXPECT_THAT(world.round(), IsEmpty());
}

// What a charon that was killed left in the kernel carries packets until another SA does.
TEST(IkePlan, TakesOverWhatACharonLeftBehind) {
    World world;
    world.round();
    const uint32_t reqid = reqid_of("net", "n7");
    world.state(20, reqid);
    world.state(21, reqid);
    EXPECT_THAT(world.round(), IsEmpty()) << "somebody may have ended it just now";
    EXPECT_THAT(world.round(), ElementsAre("initiate cvlan-n7 net"));
    world.seen.sas = {world.sa(1, true, "CONNECTING")};
    EXPECT_THAT(world.round(), IsEmpty()) << "it is at it";
    world.seen.sas = {world.sa(1, true)};
    EXPECT_THAT(world.round(), ElementsAre("remove esp 192.0.2.7 spi 0x00000014",
                                           "remove esp 192.0.2.7 spi 0x00000015"));
}

// F58, ip xfrm state flush and ip xfrm policy flush: charon notices neither.
TEST(IkePlan, EndsAnSaWhoseStatesTheKernelHasLost) {
    World world;
    world.round();
    world.seen.sas = {world.sa(1, true)};
    world.has_states = false;
    EXPECT_THAT(world.round(), IsEmpty()) << "it may be as new as that";
    EXPECT_THAT(world.round(), ElementsAre("terminate CHILD_SA 101"));
}

TEST(IkePlan, HasPoliciesPutBack) {
    World world;
    world.round();
    world.seen.sas = {world.sa(1, true)};
    world.round();
    world.has_policies = false;
    EXPECT_THAT(world.round(), IsEmpty());
    EXPECT_THAT(world.round(), ElementsAre("terminate CHILD_SA 101"));
    world.seen.sas.clear();
    world.seen.states.clear();
    EXPECT_THAT(world.round(), ElementsAre("reload cvlan-n7"));
    world.has_policies = true;
    EXPECT_THAT(world.round(), IsEmpty());
}

TEST(IkePlan, RemovesWhatNobodyWantsButNothingThatIsBeingMade) {
    World world;
    world.round();
    world.state(30, 7);
    world.state(31, reqid_of("net", "n7"), true);
    EXPECT_THAT(world.round(), IsEmpty()) << "charon may be at it";
    EXPECT_THAT(world.round(), ElementsAre("remove esp 192.0.2.7 spi 0x0000001e"));
}

TEST(IkePlan, BringsUpWhatIsToStandBeforeAPacketByTheEndWhoseTunnelStays) {
    World world;
    world.round();
    world.want.bring_up = {{"cvlan-n7", "net"}};
    EXPECT_THAT(world.round(), ElementsAre("initiate cvlan-n7 net"));
    world.seen.sas = {world.sa(1, true, "CONNECTING")};
    EXPECT_THAT(world.round(1s), IsEmpty());
    world.seen.sas = {world.sa(1, true)};
    EXPECT_THAT(world.round(), IsEmpty());
    world.seen.sas.clear();
    world.seen.states.clear();
    world.want.tunnels.at("cvlan-n7").keeps_own = false;
    EXPECT_THAT(world.round(), IsEmpty()) << "the other end is to";
    EXPECT_THAT(world.round(kAnswerLimit), ElementsAre("initiate cvlan-n7 net"))
        << "but it does not reach us";
}

TEST(IkePlan, WhatWasNegotiatedBeforeApprovedAlgorithmsWereAskedForIsRefused) {
    World world;
    world.round();
    world.seen.sas = {world.sa(1, true)};
    vici::IkeSa& ike = world.seen.sas[0];
    vici::ChildSa& child = ike.child_sas[0];
    ike.encr_alg = child.encr_alg = "AES_GCM_16";
    ike.encr_keysize = child.encr_keysize = 256;
    ike.prf_alg = "PRF_HMAC_SHA2_384";
    ike.dh_group = "ECP_384";
    child.dh_group = "CURVE_25519";
    EXPECT_THAT(world.round(), IsEmpty()) << "as good as any other";
    Tunnel& tunnel = world.want.tunnels.at("cvlan-n7");
    tunnel.approved_only = true;
    tunnel.approved_only_children = {"net"};
    EXPECT_THAT(world.round(),
                ElementsAre("initiate cvlan-n7 net",
                            "refuse cvlan-n7 net: CURVE_25519 is no approved algorithm",
                            "terminate CHILD_SA 101"));
    child.dh_group = "ECP_256";
    EXPECT_THAT(world.round(), IsEmpty());
    ike.dh_group = "CURVE_25519";
    EXPECT_THAT(world.round(), ElementsAre("initiate cvlan-n7 net",
                                           "refuse cvlan-n7: CURVE_25519 is no approved algorithm",
                                           "terminate IKE_SA 1"));
    for (const auto& [cipher, bits, prf, why] :
         std::vector<std::tuple<const char*, uint32_t, const char*, const char*>>{
             {"CHACHA20_POLY1305", 256, "PRF_HMAC_SHA2_384", "CHACHA20_POLY1305"},
             {"AES_GCM_16", 128, "PRF_HMAC_SHA2_384", "AES_GCM_16"},
             {"AES_GCM_16", 256, "PRF_HMAC_SHA1", "PRF_HMAC_SHA1"}}) {
        vici::IkeSa one;
        one.encr_alg = cipher;
        one.encr_keysize = bits;
        one.prf_alg = prf;
        one.dh_group = "ECP_384";
        EXPECT_EQ(unapproved(one), why);
    }
}

TEST(IkePlan, APeerWithoutAnAddressIsWaitedFor) {
    World world;
    world.add("n7", {});
    const auto& connection = world.want.tunnels.at("cvlan-n7").connection;
    EXPECT_EQ(connection.remote_addrs, vici::Texts{"%any"});
    EXPECT_EQ(connection.children.at(0).start_action, "none");
}

TEST(IkeWanted, PinsThePeerToItsCertificateAndItsAddresses) {
    World world;
    const auto& connection = world.want.tunnels.at("cvlan-n7").connection;
    EXPECT_EQ(connection.local.at(0).id, "fqdn:n5.t.example");
    EXPECT_EQ(connection.local.at(0).certs, vici::Texts{"leaf"});
    EXPECT_EQ(connection.remote.at(0).id, "fqdn:n7.t.example");
    EXPECT_EQ(connection.remote.at(0).cacerts, vici::Texts{"root"});
    const auto& child = connection.children.at(0);
    EXPECT_EQ(child.local_ts, vici::Texts{"10.1.0.5/32"});
    EXPECT_EQ(child.remote_ts, vici::Texts{"10.1.0.7/32"});
    EXPECT_EQ(child.if_id_out, kIfId);
    EXPECT_TRUE(world.want.tunnels.at("cvlan-n7").keeps_own);
}

// The IKE_SA carries the keys of all its networks, so one is enough for it.
TEST(IkeWanted, WithApprovedAlgorithmsAloneNothingElseIsOffered) {
    World world;
    Peer peer{.node_id = "n7", .name = "n7.t.example"};
    peer.networks = {
        {"net", kIfId, {*Address::parse("10.1.0.5")}, {*Address::parse("10.1.0.7")}},
        {"fips", kIfId + 1, {*Address::parse("10.2.0.5")}, {*Address::parse("10.2.0.7")}, true}};
    const Tunnel tunnel = tunnel_to(world.own, peer, {});
    EXPECT_TRUE(tunnel.approved_only);
    EXPECT_EQ(tunnel.approved_only_children, std::set<std::string>{"fips"});
    EXPECT_EQ(tunnel.connection.proposals, vici::Texts{"aes256gcm16-prfsha384-ecp384-ecp256"});
    EXPECT_EQ(tunnel.connection.children.at(0).esp_proposals,
              vici::Texts{"aes256gcm16-ecp384-x25519"});
    EXPECT_EQ(tunnel.connection.children.at(1).esp_proposals,
              vici::Texts{"aes256gcm16-ecp384-ecp256"});
    peer.networks.pop_back();
    EXPECT_EQ(tunnel_to(world.own, peer, {}).connection.proposals,
              vici::Texts{"aes256gcm16-prfsha384-ecp384-x25519"});
}

TEST(IkeWanted, AReqidIsTheSameAtEachStartAndAnotherForEachPeerAndNetwork) {
    EXPECT_EQ(reqid_of("net", "n7"), reqid_of("net", "n7"));
    EXPECT_NE(reqid_of("net", "n7"), reqid_of("net", "n8"));
    EXPECT_NE(reqid_of("net", "n7"), reqid_of("lan", "n7"));
    EXPECT_GE(reqid_of("net", "n7"), 0x40000000u);
}

}  // namespace
}  // namespace cvlan::ike
