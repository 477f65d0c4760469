// SPDX-License-Identifier: Apache-2.0
// What is asked of charon, and what is made of its answers.
#include "vici/charon.h"

#include <gtest/gtest.h>

#include <mutex>

#include "tests/vici/fake_charon.h"

namespace cvlan::vici {
namespace {

using namespace test;

// A charon that gives each command the same answer and keeps what it was asked.
struct Asked {
    explicit Asked(Message with)
        : answer(std::move(with)), fake([this](Peer& peer) { serve(peer); }) {}

    void serve(Peer& peer) {
        while (auto request = peer.next()) {
            if (request->type != PacketType::CommandRequest) {
                (void)peer.send(packet(PacketType::EventConfirm));
                continue;
            }
            name = request->name;
            arguments = request->message;
            Bytes out;
            for (const Message& one : entries) out = out + packet(PacketType::Event, event, one);
            (void)peer.send(out + packet(PacketType::CommandResponse, {}, answer));
        }
    }

    Message answer;
    std::vector<Message> entries{};
    std::string event{};
    // Written before the answer is sent, and read after it came.
    std::string name{};
    Message arguments{};
    FakeCharon fake;
    SystemClock clock{};
    Session session{clock, {{fake.path(), {}}, std::chrono::seconds(5), 1}};
    Charon charon{session};
};

Message success() {
    Message message;
    message.put("success", "yes");
    return message;
}

Message refusal(const char* words) {
    Message message;
    message.put("success", "no").put("errmsg", words);
    return message;
}

Connection connection() {
    Connection out;
    out.name = "cvlan-a";
    out.remote_addrs = {"192.0.2.2"};
    out.proposals = {"aes256gcm16-prfsha384-ecp384"};
    out.mobike = true;
    out.rekey_time = Seconds(14400);
    out.if_id_in = 0xca000001;
    out.local = {Auth{.auth = "pubkey", .id = "a.example", .certs = {"\x30\x01"}}};
    out.remote = {Auth{.auth = "psk", .id = "b.example"}, Auth{.auth = "eap-tls"}};
    Child child{.name = "net"};
    child.local_ts = {"0.0.0.0/0"};
    child.start_action = "trap";
    child.policies = false;
    out.children = {child};
    return out;
}

TEST(Charon, IsGivenAConnectionWithTheNamesOfSwanctlConf) {
    Asked asked(success());
    ASSERT_TRUE(asked.charon.load_conn(connection()));
    EXPECT_EQ(asked.name, "load-conn");
    EXPECT_EQ(asked.arguments.dump(),
              "{cvlan-a={version=2 remote_addrs=[192.0.2.2] "
              "proposals=[aes256gcm16-prfsha384-ecp384] mobike=yes rekey_time=14400 "
              "if_id_in=3388997633 local-0={round=0 auth=pubkey id=a.example certs=[0?]} "
              "remote-0={round=0 auth=psk id=b.example} remote-1={round=1 auth=eap-tls} "
              "children={net={local_ts=[0.0.0.0/0] start_action=trap policies=no}}}}");
}

TEST(Charon, SaysWhatItRefuses) {
    Asked asked(refusal("invalid value for: proposals, config discarded\x1b[m"));
    const auto refused = asked.charon.load_conn(connection());
    ASSERT_FALSE(refused);
    EXPECT_EQ(refused.error().code, Code::Invalid);
    EXPECT_EQ(refused.error().message,
              "charon: load-conn: invalid value for: proposals, config discarded?[m");
    asked.answer = refusal("unload: connection 'x' not found");
    EXPECT_EQ(asked.charon.unload_conn("x").error().code, Code::NotFound);
    asked.answer = refusal("no matching SAs to terminate found");
    EXPECT_EQ(asked.charon.terminate({.ike = "x"}).error().code, Code::NotFound);
    asked.answer = Message();
    EXPECT_EQ(asked.charon.clear_creds().error().code, Code::Invalid);
    EXPECT_EQ(asked.session.connections(), 1u);
}

TEST(Charon, IsGivenASecretByteForByteAndItIsNowhereElse) {
    Asked asked(success());
    const std::string secret("\0\xff\x00 hunter2", 12);
    ASSERT_TRUE(asked.charon.load_shared({"cvlan-1", "IKE", SecretText(secret), {"a", "b"}}));
    EXPECT_EQ(asked.arguments.text("data"), secret);
    EXPECT_EQ(asked.arguments.dump(), "{id=cvlan-1 type=IKE data=*** owners=[a b]}");
    asked.answer = refusal("parsing shared key owners failed");
    const auto refused = asked.charon.load_shared({"cvlan-1", "IKE", SecretText("hunter2"), {"a"}});
    EXPECT_EQ(refused.error().message.find("hunter2"), std::string::npos);
}

TEST(Charon, IsGivenNoSecretThatWouldBeAnybodys) {
    Asked asked(success());
    const Texts owners[] = {{}, {""}, {"a", "%any"}};
    for (const Texts& bad : owners) {
        const auto refused = asked.charon.load_shared({"s", "IKE", SecretText("hunter2"), bad});
        EXPECT_EQ(refused.error().code, Code::Invalid);
    }
    EXPECT_FALSE(asked.charon.load_shared({"", "IKE", SecretText("hunter2"), {"a"}}));
    EXPECT_FALSE(asked.charon.load_shared({"s", "IKE", SecretText(), {"a"}}));
    EXPECT_EQ(asked.name, "");
}

TEST(Charon, BeginsAndDoesNotWait) {
    Message answer = success();
    answer.put("matches", "2");
    Asked asked(answer);
    ASSERT_TRUE(asked.charon.initiate("net", "cvlan-a"));
    EXPECT_EQ(asked.arguments.dump(), "{child=net ike=cvlan-a timeout=-1}");
    EXPECT_EQ(asked.charon.terminate({.ike_id = 7}).value(), 2u);
    EXPECT_EQ(asked.arguments.dump(), "{ike-id=7 timeout=-1}");
    EXPECT_EQ(asked.charon.rekey({.child = "net"}).value(), 2u);
    EXPECT_EQ(asked.arguments.dump(), "{child=net}");
}

TEST(Charon, WantsToKnowExactlyWhichSa) {
    Asked asked(success());
    EXPECT_EQ(asked.charon.terminate({}).error().code, Code::Invalid);
    EXPECT_EQ(asked.charon.rekey({.ike = "a", .child_id = 1}).error().code, Code::Invalid);
    EXPECT_EQ(asked.name, "");
}

TEST(Charon, ListsItsSasAndForgetsAllWhereOneCanNotBeRead) {
    Asked asked((Message()));
    asked.event = "list-sa";
    asked.entries = {sa_entry("a", "1"), sa_entry("b", "2")};
    const auto sas = asked.charon.list_sas().value();
    ASSERT_EQ(sas.size(), 2u);
    EXPECT_EQ(sas[1].name, "b");
    asked.entries.push_back(sa_entry("c", "three"));
    EXPECT_EQ(asked.charon.list_sas().error().code, Code::Malformed);
}

TEST(Charon, ListsItsConnections) {
    Asked asked((Message()));
    asked.event = "list-conn";
    Message child, children, inside, entry;
    child.put("mode", "TUNNEL").put_list("local-ts", std::vector<std::string>{"dynamic"});
    children.put_section("net", child);
    inside.put("version", "IKEv2").put_list("remote_addrs", std::vector<std::string>{"192.0.2.2"});
    inside.put_section("children", children);
    entry.put_section("cvlan-a", inside);
    asked.entries = {entry};
    const auto conns = asked.charon.list_conns().value();
    ASSERT_EQ(conns.size(), 1u);
    EXPECT_EQ(conns[0].version, "IKEv2");
    EXPECT_EQ(conns[0].remote_addrs, Texts{"192.0.2.2"});
    EXPECT_EQ(conns[0].children.at(0).local_ts, Texts{"dynamic"});
    asked.entries = {Message()};
    EXPECT_EQ(asked.charon.list_conns().error().code, Code::Malformed);
}

TEST(Charon, CountsAsItSays) {
    Message counts, sections, answer = success();
    counts.put("ike-rekey-init", "3").put("invalid", "0");
    sections.put_section("cvlan-a", counts);
    answer.put_section("counters", sections);
    Asked asked(answer);
    const auto counters = asked.charon.get_counters("cvlan-a").value();
    EXPECT_EQ(asked.arguments.dump(), "{name=cvlan-a}");
    EXPECT_EQ(counters, (Counters{{"ike-rekey-init", 3}, {"invalid", 0}}));
}

TEST(Charon, SaysHowItIs) {
    Asked asked(version_answer());
    EXPECT_EQ(asked.charon.version()->version, "5.9.8");
    EXPECT_EQ(asked.charon.version()->daemon, "charon-systemd");
    Message workers, ikesas, answer;
    workers.put("total", "16").put("idle", "11");
    ikesas.put("total", "2").put("half-open", "1");
    answer.put_section("workers", workers).put_section("ikesas", ikesas);
    answer.put_list("plugins", std::vector<std::string>{"openssl", "vici"});
    asked.answer = answer;
    const auto stats = asked.charon.stats().value();
    EXPECT_EQ(stats.workers_idle, 11u);
    EXPECT_EQ(stats.ike_sas_half_open, 1u);
    EXPECT_EQ(stats.plugins, (Texts{"openssl", "vici"}));
    asked.answer = Message();
    EXPECT_EQ(asked.charon.stats().error().code, Code::Malformed);
    EXPECT_EQ(asked.charon.version().error().code, Code::Malformed);
}

TEST(CharonsHealth, IsWhatARoundTripSays) {
    EXPECT_EQ(health_of(Version{"charon", "5.9.8"}), Health::Well);
    EXPECT_EQ(health_of(fail_as(kTimedOut, Code::Unavailable, "")), Health::Wedged);
    EXPECT_EQ(health_of(fail_as(kBackingOff, Code::Unavailable, "")), Health::Unknown);
    EXPECT_EQ(health_of(fail(Code::Unavailable, "hung up")), Health::Gone);
    EXPECT_EQ(health_of(fail(Code::Malformed, "junk")), Health::Wedged);
}

}  // namespace
}  // namespace cvlan::vici
