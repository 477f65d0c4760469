// SPDX-License-Identifier: Apache-2.0
// Real charons on a real kernel: what we load comes up, what we list is what swanctl lists, and
// what happens to a charon is noticed.
#include "vici/charon.h"

#include <gmock/gmock.h>
#include <poll.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include <regex>

#include "tests/vici/fake_charon.h"
#include "tests/vici/two_charons.h"

namespace cvlan::vici {
namespace {

using namespace std::chrono_literals;
using test::Gateway;
using test::output_of;
using testing::HasSubstr;
using testing::Not;

class CharonKernel : public test::TwoCharons {
protected:
    void load_with_psk(const std::string& secret) {
        for (Gateway* one : {a.get(), b.get()}) {
            const auto loaded = one->charon->load_shared(
                {"cvlan-psk", "IKE", SecretText(secret), {"a.example", "b.example"}});
            ASSERT_TRUE(loaded) << loaded.error().message;
        }
        load(Auth{.auth = "psk", .id = "a.example"}, Auth{.auth = "psk", .id = "b.example"});
    }

    // The same connection at both ends, with what `of_a` and `of_b` show.
    void load(const Auth& of_a, const Auth& of_b) {
        for (const bool is_a : {true, false}) {
            Connection connection;
            connection.name = "cvlan-net";
            connection.local_addrs = {is_a ? "10.1.0.1" : "10.1.0.2"};
            connection.remote_addrs = {is_a ? "10.1.0.2" : "10.1.0.1"};
            connection.proposals = {"aes256gcm16-prfsha384-ecp384"};
            connection.rekey_time = Seconds(3600);
            connection.local = {is_a ? of_a : of_b};
            connection.remote = {is_a ? of_b : of_a};
            connection.local[0].cacerts.clear();
            connection.remote[0].certs.clear();
            Child child{.name = "net"};
            child.esp_proposals = {"aes256gcm16-x25519"};
            child.local_ts = {is_a ? "10.2.1.0/24" : "10.2.2.0/24"};
            child.remote_ts = {is_a ? "10.2.2.0/24" : "10.2.1.0/24"};
            child.if_id_in = child.if_id_out = 0xca000007;
            child.rekey_time = Seconds(1800);
            connection.children = {child};
            const auto loaded = (is_a ? a : b)->charon->load_conn(connection);
            ASSERT_TRUE(loaded) << loaded.error().message;
        }
    }

    void bring_up() {
        const size_t before = b->count(SaEventKind::ChildUp);
        ASSERT_TRUE(a->charon->initiate("net", "cvlan-net"));
        ASSERT_TRUE(until([&] { return b->count(SaEventKind::ChildUp) > before; }));
        ASSERT_TRUE(until([&] { return a->count(SaEventKind::ChildUp) > 0; }));
    }

    // Devices whose packets are those of the SA.
    void add_devices() {
        a->shell(
            "sh -c 'ip link add cx-t type xfrm dev va if_id 0xca000007 && ip link set cx-t up && "
            "ip addr add 10.2.1.1/24 dev cx-t && ip route add 10.2.2.0/24 dev cx-t'");
        b->shell(
            "sh -c 'ip link add cx-t type xfrm dev vb if_id 0xca000007 && ip link set cx-t up && "
            "ip addr add 10.2.2.1/24 dev cx-t && ip route add 10.2.1.0/24 dev cx-t'");
    }
};

// As swanctl --raw prints a message.
std::string raw(const Message& message) {
    std::string out;
    for (const Element& element : message.elements()) {
        if (!out.empty()) out += ' ';
        out += element.name;
        if (const auto* value = std::get_if<Value>(&element.content)) {
            out += fmt::format("={}", text_of(*value));
        } else if (const auto* list = std::get_if<List>(&element.content)) {
            out += "=[";
            for (const Value& item : *list)
                out += fmt::format("{}{}", &item == list->data() ? "" : " ", text_of(item));
            out += ']';
        } else {
            out += fmt::format(" {{{}}}", raw(std::get<Message>(element.content)));
        }
    }
    return out;
}

// Without what changes from one second to the next.
std::string still(const std::string& text) {
    static const std::regex moving(
        "(established|rekey-time|reauth-time|life-time|install-time|use-in|use-out)=-?[0-9]+");
    return std::regex_replace(text, moving, "$1=_");
}

TEST_F(CharonKernel, ComesUpByASecretOfAnyBytesAndListsWhatSwanctlLists) {
    std::string secret("\0\xff\n ", 4);
    secret += "schlüssel";
    secret.resize(256, '\x7f');
    load_with_psk(secret);
    EXPECT_EQ(a->charon->get_conns().value(), Texts{"cvlan-net"});
    EXPECT_EQ(a->charon->get_shared().value(), Texts{"cvlan-psk"});
    EXPECT_EQ(a->charon->list_conns()->at(0).version, "IKEv2");
    add_devices();
    bring_up();
    a->shell("ping -q -c 3 -i 0.2 -W 5 10.2.2.1");

    Message entry;
    ASSERT_TRUE(a->session->streamed({"list-sas", "list-sa"}, {}, [&](const Message& one) {
        entry = one;
        return Result<void>{};
    }));
    EXPECT_EQ(still(fmt::format("list-sa event {{{}}}", raw(entry))),
              still(a->swanctl("--list-sas --raw")).substr(0, still(raw(entry)).size() + 16));

    const auto sas = a->charon->list_sas().value();
    ASSERT_EQ(sas.size(), 1u);
    const IkeSa& ike = sas[0];
    EXPECT_EQ(ike.name, "cvlan-net");
    EXPECT_TRUE(ike.is_established());
    EXPECT_TRUE(ike.initiator);
    EXPECT_EQ(ike.version, 2u);
    EXPECT_EQ(ike.remote_id, "b.example");
    EXPECT_EQ(ike.remote_host, "10.1.0.2");
    EXPECT_EQ(ike.dh_group, "ECP_384");
    ASSERT_EQ(ike.child_sas.size(), 1u);
    const ChildSa& child = ike.child_sas[0];
    EXPECT_TRUE(child.is_installed());
    EXPECT_EQ(child.name, "net");
    EXPECT_EQ(child.if_id_in, 0xca000007u);
    EXPECT_EQ(child.encr_alg, "AES_GCM_16");
    EXPECT_EQ(child.encr_keysize, 256u);
    EXPECT_EQ(child.in.packets, 3u);
    EXPECT_EQ(child.out.bytes, 3u * 84u);
    EXPECT_EQ(child.local_ts, Texts{"10.2.1.0/24"});
    EXPECT_GT(child.rekey_time.value(), 0s);
    EXPECT_THAT(a->shell("ip xfrm state"), HasSubstr(fmt::format("spi 0x{:08x}", child.spi_in)));
    EXPECT_EQ(b->charon->list_sas()->at(0).child_sas.at(0).spi_out, child.spi_in);
    EXPECT_EQ(b->last(SaEventKind::ChildUp)->ike.child_sas.at(0).spi_out, child.spi_in);
    EXPECT_THAT(a->swanctl("--list-conns"), HasSubstr("cvlan-net: IKEv2"));
}

TEST_F(CharonKernel, SaysWhatWasRekeyedAndWhatEnded) {
    load_with_psk("of no matter");
    bring_up();
    const ChildSa first = a->charon->list_sas()->at(0).child_sas.at(0);
    EXPECT_EQ(a->charon->rekey({.child = "net"}).value(), 1u);
    for (Gateway* one : {a.get(), b.get()})
        ASSERT_TRUE(until([&] { return one->count(SaEventKind::ChildRekey) == 1; }));
    const SaEvent* rekeyed = a->last(SaEventKind::ChildRekey);
    EXPECT_EQ(rekeyed->old_child->spi_in, first.spi_in);
    EXPECT_NE(rekeyed->ike.child_sas.at(0).spi_in, first.spi_in);

    EXPECT_EQ(a->charon->rekey({.ike = "cvlan-net"}).value(), 1u);
    for (Gateway* one : {a.get(), b.get()})
        ASSERT_TRUE(until([&] { return one->count(SaEventKind::IkeRekey) == 1; }));
    // The old one is deleted behind it.
    ASSERT_TRUE(until([&] { return a->charon->list_sas()->size() == 1; }));
    const SaEvent* ike = b->last(SaEventKind::IkeRekey);
    EXPECT_NE(ike->old_ike->initiator_spi, ike->ike.initiator_spi);
    EXPECT_GE(a->charon->get_counters("cvlan-net")->at("ike-rekey-init"), 1u);

    EXPECT_EQ(a->charon->terminate({.ike = "cvlan-net"}).value(), 1u);
    for (Gateway* one : {a.get(), b.get()})
        ASSERT_TRUE(until([&] { return one->count(SaEventKind::IkeDown) == 1; }));
    EXPECT_TRUE(until([&] { return a->charon->list_sas()->empty(); }));
    EXPECT_THAT(a->shell("ip xfrm state"), Not(HasSubstr("10.1.0.1")));
    EXPECT_EQ(a->charon->terminate({.ike = "cvlan-net"}).error().code, Code::NotFound);
    EXPECT_EQ(a->charon->rekey({.child = "net"}).error().code, Code::NotFound);
    EXPECT_EQ(a->listening, 1);
    EXPECT_EQ(a->session->connections(), 1u);
}

TEST_F(CharonKernel, ComesUpByCertificatesOfTheirAuthorityAlone) {
    const std::string at = folder.path();
    output_of(
        "cd " + at +
        " && exec 2>&1 && openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-384 -nodes "
        "-keyout ca.key -out ca.pem -subj /CN=ca -days 2 && for n in a b; do openssl req "
        "-newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -keyout $n.key -out $n.csr -subj "
        "/O=t/CN=$n && printf 'subjectAltName=DNS:%s.example' $n > $n.ext && openssl x509 -req "
        "-in $n.csr -CA ca.pem -CAkey ca.key -CAcreateserial -days 1 -extfile $n.ext -out $n.pem; "
        "done");
    const auto file = [&](const std::string& name) { return output_of("cat " + at + "/" + name); };
    std::string key_of_a;
    for (Gateway* one : {a.get(), b.get()}) {
        ASSERT_TRUE(one->charon->load_authority({"cvlan-ca", file("ca.pem"), {}, {}}));
        auto key = one->charon->load_key(SecretText(file(one == a.get() ? "a.key" : "b.key")));
        ASSERT_TRUE(key) << key.error().message;
        if (one == a.get()) key_of_a = *key;
    }
    load(Auth{.id = "a.example", .certs = {file("a.pem")}, .cacerts = {file("ca.pem")}},
         Auth{.id = "b.example", .certs = {file("b.pem")}, .cacerts = {file("ca.pem")}});
    bring_up();
    EXPECT_EQ(a->charon->list_sas()->at(0).remote_id, "b.example");
    EXPECT_EQ(a->charon->get_keys().value(), Texts{key_of_a});
    EXPECT_TRUE(a->charon->load_cert(file("ca.pem"), true));
    EXPECT_TRUE(a->charon->flush_certs());
    EXPECT_TRUE(a->charon->unload_key(key_of_a));
    EXPECT_TRUE(a->charon->get_keys()->empty());
    EXPECT_EQ(a->charon->unload_key(key_of_a).error().code, Code::NotFound);
    EXPECT_EQ(a->charon->load_key(SecretText("no key")).error().code, Code::Invalid);
    EXPECT_EQ(a->charon->load_cert("no certificate", false).error().code, Code::Invalid);
    EXPECT_TRUE(a->charon->clear_creds());
    EXPECT_TRUE(a->charon->unload_authority("cvlan-ca"));
    EXPECT_EQ(a->charon->unload_authority("cvlan-ca").error().code, Code::NotFound);
}

TEST_F(CharonKernel, TakesBackWhatItWasTold) {
    load_with_psk("of no matter");
    EXPECT_TRUE(a->charon->load_pool({"cvlan-pool", "10.9.0.0/24", {"10.9.0.1"}}));
    EXPECT_TRUE(a->charon->unload_pool("cvlan-pool"));
    EXPECT_EQ(a->charon->unload_pool("cvlan-pool").error().code, Code::NotFound);
    EXPECT_TRUE(a->charon->unload_shared("cvlan-psk"));
    EXPECT_TRUE(a->charon->get_shared()->empty());
    EXPECT_TRUE(a->charon->unload_conn("cvlan-net"));
    EXPECT_TRUE(a->charon->get_conns()->empty());
    EXPECT_EQ(a->charon->unload_conn("cvlan-net").error().code, Code::NotFound);
    EXPECT_EQ(a->charon->initiate("net", "cvlan-net").error().code, Code::NotFound);
    Connection bad;
    bad.name = "cvlan-bad";
    bad.proposals = {"rot13"};
    const auto refused = a->charon->load_conn(bad);
    ASSERT_FALSE(refused);
    EXPECT_EQ(refused.error().code, Code::Invalid);
    EXPECT_THAT(refused.error().message, HasSubstr("proposals"));
    EXPECT_EQ(a->session->command("no-such-command").error().code, Code::Unsupported);
    EXPECT_THAT(a->shell("ip rule"), Not(HasSubstr("220")));  // its own table, if it had one
    const auto stats = a->charon->stats().value();
    EXPECT_EQ(stats.workers, 32u);
    EXPECT_THAT(stats.plugins, testing::Contains("vici"));
    EXPECT_THAT(stats.plugins, Not(testing::Contains("updown")));
    EXPECT_EQ(a->charon->version()->version.substr(0, 4), "5.9.");
    EXPECT_EQ(a->session->connections(), 1u);
}

// F91. decisions.md: killed, it leaves its SAs to the kernel, and the next one owns none of them.
TEST_F(CharonKernel, KilledLeavesItsSasAndTheNextOneHasToBeToldAll) {
    load_with_psk("of no matter");
    add_devices();
    bring_up();
    const uint32_t spi = a->charon->list_sas()->at(0).child_sas.at(0).spi_in;
    a->kill_it();
    ASSERT_TRUE(until([&] { return a->down > 0; }));
    EXPECT_EQ(health_of(a->charon->version()), Health::Gone);
    EXPECT_EQ(health_of(a->charon->version()), Health::Unknown);
    EXPECT_THAT(a->shell("ip xfrm state"), HasSubstr(fmt::format("spi 0x{:08x}", spi)));
    a->shell("ping -q -c 3 -i 0.2 -W 5 10.2.2.1");  // nobody is needed for that

    a->start();
    ASSERT_TRUE(until([&] { return a->listening == 2; }));
    EXPECT_EQ(health_of(a->charon->version()), Health::Well);
    EXPECT_TRUE(a->charon->get_conns()->empty());
    EXPECT_TRUE(a->charon->list_sas()->empty());
    EXPECT_THAT(a->shell("ip xfrm state"), HasSubstr(fmt::format("spi 0x{:08x}", spi)));
    a->events.clear();
    load_with_psk("of no matter");
    bring_up();
    EXPECT_NE(a->charon->list_sas()->at(0).child_sas.at(0).spi_in, spi);
    a->shell("ping -q -c 3 -i 0.2 -W 5 10.2.2.1");
}

// I27.
TEST_F(CharonKernel, StoppedIsWedgedWithinTheLimitAndWellAgainWhenItGoesOn) {
    SystemClock clock;
    Session session(clock, {a->at(), 500ms, 1});
    Charon charon(session);
    EXPECT_EQ(health_of(charon.version()), Health::Well);
    a->signal(SIGSTOP);
    const auto begun = std::chrono::steady_clock::now();
    EXPECT_EQ(health_of(charon.version()), Health::Wedged);
    EXPECT_LT(std::chrono::steady_clock::now() - begun, 5s);
    EXPECT_EQ(health_of(charon.version()), Health::Unknown);
    a->signal(SIGCONT);
    Health health = Health::Unknown;
    ASSERT_TRUE(until([&] {
        health = health_of(charon.version());
        return health != Health::Unknown;
    }));
    EXPECT_EQ(health, Health::Well);
    EXPECT_EQ(session.connections(), 2u);
}

// How many bytes come until `words` are among them; 0 where nothing more comes.
size_t bytes_until(int fd, std::string_view words) {
    std::string seen;
    char chunk[4096];
    pollfd ready{fd, POLLIN, 0};
    while (seen.find(words) == std::string::npos) {
        const ssize_t got = poll(&ready, 1, 10000) == 1 ? recv(fd, chunk, sizeof chunk, 0) : 0;
        if (got <= 0) return 0;
        seen.append(chunk, static_cast<size_t>(got));
    }
    return seen.size();
}

// F92: somebody registers for what charon says most of, and never reads it.
TEST_F(CharonKernel, IsNotWedgedByWhoDoesNotReadItsEvents) {
    const UniqueFd deaf = connect_to(a->at()).value();
    const auto wanted = encode_packet(PacketType::EventRegister, "log", {}).value();
    ASSERT_EQ(send(deaf.get(), wanted.data(), wanted.size(), 0),
              static_cast<ssize_t>(wanted.size()));
    Connection connection;
    for (int i = 0; i < 400; ++i) {
        connection.name = fmt::format("cvlan-noise-{}", i);
        const auto loaded = a->charon->load_conn(connection);
        ASSERT_TRUE(loaded) << i << ": " << loaded.error().message;
    }
    EXPECT_EQ(health_of(a->charon->version()), Health::Well);
    EXPECT_EQ(a->session->connections(), 1u);
    // More than the socket held: charon kept it all for as long as nobody read it.
    int waiting = 0;
    ASSERT_EQ(ioctl(deaf.get(), FIONREAD, &waiting), 0);
    EXPECT_GT(bytes_until(deaf.get(), "cvlan-noise-399"), static_cast<size_t>(waiting));
}

// F91.
TEST_F(CharonKernel, ASocketOfAnotherUserIsGivenNothing) {
    const std::string path = folder.file("other.vici");
    const pid_t other = fork();
    if (other == 0) {
        // Listening is what the kernel looks at.
        const UniqueFd listener(socket(AF_UNIX, SOCK_STREAM, 0));
        if (setuid(12345) != 0) _exit(1);
        umask(0);
        const UniqueFd bound = test::FakeCharon::listen_at(path);
        pause();
        _exit(0);
    }
    SystemClock clock;
    Session session(clock, {{path, {}}, 5000ms, 1});
    Result<Message> answer = fail(Code::Unavailable, "");
    ASSERT_TRUE(until([&] {
        answer = session.command("version");
        return answer || answer.error().code != Code::Unavailable;
    }));
    kill(other, SIGKILL);
    waitpid(other, nullptr, 0);
    ASSERT_FALSE(answer);
    EXPECT_EQ(answer.error().code, Code::Denied) << answer.error().message;
    EXPECT_THAT(answer.error().message, HasSubstr("12345"));
}

}  // namespace
}  // namespace cvlan::vici
