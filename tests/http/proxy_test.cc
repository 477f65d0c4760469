// SPDX-License-Identifier: Apache-2.0
// A server behind a load balancer: by hand, and with the real HAProxy and nginx before it, which
// pass TLS through.
#include <gtest/gtest.h>
#include <unistd.h>

#include <fstream>
#include <thread>

#include "tests/http/server_fixture.h"
#include "tests/http/tls_client.h"
#include "tests/support/free_port.h"
#include "tests/support/process.h"
#include "tests/support/temp_dir.h"

namespace cvlan::http::test {
namespace {

using namespace std::chrono_literals;
using cvlan::test::free_port;
using cvlan::test::Process;
using cvlan::test::TempDir;

constexpr const char* kGet = "GET / HTTP/1.1\r\nHost: localhost\r\n\r\n";
constexpr const char* kHeader = "PROXY TCP4 192.0.2.1 192.0.2.9 40000 443\r\n";

const std::vector<Prefix> kLoopback{*Prefix::parse("127.0.0.0/8")};
const std::vector<Prefix> kElsewhere{*Prefix::parse("198.51.100.0/24")};

bool until(const std::function<bool()>& claim) {
    for (int i = 0; i < 2000 && !claim(); ++i) std::this_thread::sleep_for(5ms);
    return claim();
}

TEST(AServerBehindABalancer, KnowsTheClientThatTheHeaderNames) {
    TestServer server(Limits{}, kLoopback);
    RawClient client(server.at());
    client.send(kHeader);
    client.send(kGet);
    EXPECT_EQ(status_of(client.message()), 200);
    ASSERT_EQ(server.seen_count(), 1u);
    EXPECT_EQ(server.seen()[0].peer.text(), "192.0.2.1:40000");
}

TEST(AServerBehindABalancer, ReadsAHeaderThatComesInPieces) {
    TestServer server(Limits{}, kLoopback);
    RawClient client(server.at());
    const std::string all = std::string(kHeader) + kGet;
    for (const char c : all) ASSERT_TRUE(client.send({&c, 1}));
    EXPECT_EQ(status_of(client.message()), 200);
    EXPECT_EQ(server.seen()[0].peer.text(), "192.0.2.1:40000");
}

TEST(AServerBehindABalancer, ClosesWhatHasNoHeader) {
    TestServer server(Limits{}, kLoopback);
    RawClient client(server.at());
    client.send(kGet);
    EXPECT_EQ(client.rest(), "");
    EXPECT_EQ(server.seen_count(), 0u);
    EXPECT_EQ(server.stats().proxy_headers_refused, 1u);
}

TEST(AServerBehindABalancer, BelievesNoHeaderFromElsewhere) {
    TestServer server(Limits{}, kElsewhere);
    RawClient client(server.at());
    client.send(kHeader);
    client.send(kGet);
    EXPECT_EQ(status_of(client.message()), 400);
    EXPECT_EQ(server.seen_count(), 0u);
    RawClient direct(server.at());
    direct.send(kGet);
    EXPECT_EQ(status_of(direct.message()), 200);
    EXPECT_EQ(server.seen()[0].peer.address.text(), "127.0.0.1");
}

TEST(AServerBehindABalancer, CountsConnectionsByTheirClients) {
    TestServer server(Limits{.connections_per_address = 1}, kLoopback);
    RawClient first(server.at()), again(server.at()), other(server.at());
    first.send(std::string(kHeader) + kGet);
    EXPECT_EQ(status_of(first.message()), 200);
    again.send(std::string(kHeader) + kGet);
    EXPECT_TRUE(again.is_closed());
    other.send(std::string("PROXY TCP4 192.0.2.2 192.0.2.9 40000 443\r\n") + kGet);
    EXPECT_EQ(status_of(other.message()), 200);
    first.close();
    EXPECT_TRUE(until([&] { return server.stats().connections == 1; }));
    RawClient later(server.at());
    later.send(std::string(kHeader) + kGet);
    EXPECT_EQ(status_of(later.message()), 200);
}

TEST(AServerBehindABalancer, WaitsForAHeaderNoLongerThanForAHandshake) {
    TestServer server(Limits{.handshake = 50ms}, kLoopback);
    RawClient client(server.at());
    client.send("PROXY ");
    EXPECT_TRUE(client.is_closed());
    EXPECT_EQ(server.stats().proxy_headers_refused, 0u);  // slow, not wrong
}

// F17: those who are silent at the door take room like any other, and give it back.
TEST(AServerBehindABalancer, CountsWhoIsAtTheDoorAmongItsConnections) {
    TestServer server(Limits{.connections = 1}, kLoopback);
    RawClient silent(server.at());
    ASSERT_TRUE(until([&] { return server.stats().accept_pauses == 1; }));
    RawClient client(server.at());
    client.send(std::string(kHeader) + kGet);
    silent.close();
    EXPECT_EQ(status_of(client.message()), 200);
}

TEST(AServerBehindABalancer, DrainsWhileOneIsAtTheDoor) {
    TestServer server(Limits{}, kLoopback);
    RawClient client(server.at());
    ASSERT_TRUE(client.send("PROXY "));
    std::atomic<bool> is_done = false;
    server.call([&] { server.server().drain(10s, [&] { is_done = true; }); });
    EXPECT_TRUE(client.is_closed());
    EXPECT_TRUE(until([&] { return is_done.load(); }));
}

// A server with TLS, and a real balancer before it on loopback, with its files in `folder`.
struct RealBalancer : testing::Test {
    TempDir folder;
    TestServer server{authorities().options(ClientCert::Required), {}, kLoopback};
    Endpoint front{*Address::parse("127.0.0.1"), free_port()};
    std::optional<Process> balancer;

    void start(const std::string& program, std::vector<std::string> words,
               const std::string& config) {
        ASSERT_EQ(access(program.c_str(), X_OK), 0) << program << ": scripts/install-deps has it";
        std::ofstream(folder.file("conf")) << config;
        balancer.emplace(program, std::move(words), 1, folder.file("log"));
        ASSERT_TRUE(until([&] { return RawClient(front).is_connected(); })) << log();
    }
    ~RealBalancer() override {
        if (!balancer) return;
        balancer->interrupt();
        balancer->wait();
    }
    std::string log() const {
        std::ifstream file(folder.file("log"));
        return {std::istreambuf_iterator<char>(file), {}};
    }
    // A request through the balancer with a client certificate, and whom the server takes it from.
    void expect_passes() {
        TlsClient client(front, authorities().client);
        sockaddr_storage own{};
        socklen_t size = sizeof own;
        getsockname(SSL_get_fd(client.ssl()), reinterpret_cast<sockaddr*>(&own), &size);
        EXPECT_EQ(status_of(client.ask(kGet)), 200) << log();
        ASSERT_EQ(server.seen_count(), 1u);
        EXPECT_EQ(server.seen()[0].peer,
                  *Endpoint::from_sockaddr(reinterpret_cast<sockaddr*>(&own), size));
        EXPECT_EQ(server.seen()[0].client_certificate.pem(), authorities().client.cert_pem);
        EXPECT_EQ(server.stats().proxy_headers_refused, 0u);
    }
    void start_haproxy(const std::string& options) {
        start("/usr/sbin/haproxy", {"-db", "-f", folder.file("conf")},
              fmt::format("defaults\n  mode tcp\n  timeout connect 5s\n  timeout client 30s\n"
                          "  timeout server 30s\nlisten front\n  bind {}\n"
                          "  server controller {} {}\n",
                          front.text(), server.at().text(), options));
    }
};

TEST_F(RealBalancer, HaproxyPassesTlsThroughWithVersion2) {
    ASSERT_NO_FATAL_FAILURE(start_haproxy("send-proxy-v2"));
    expect_passes();
}

TEST_F(RealBalancer, HaproxysChecksumAndUniqueIdAreRead) {
    ASSERT_NO_FATAL_FAILURE(start_haproxy("send-proxy-v2 proxy-v2-options crc32c,unique-id"));
    expect_passes();
}

// They are LOCAL: the balancer's own.
TEST_F(RealBalancer, HaproxysChecksOfHealthAreNoFaults) {
    std::ofstream(folder.file("client.pem"))
        << authorities().client.cert_pem << authorities().client.key_pem;
    ASSERT_NO_FATAL_FAILURE(start_haproxy(
        "send-proxy-v2 check check-ssl verify none inter 20ms crt " + folder.file("client.pem")));
    EXPECT_TRUE(until([&] { return server.stats().handshakes > 0; })) << log();
    EXPECT_EQ(server.stats().proxy_headers_refused, 0u);
}

TEST_F(RealBalancer, HaproxyWithoutTheHeaderIsRefused) {
    ASSERT_NO_FATAL_FAILURE(start_haproxy(""));
    TlsClient client(front, authorities().client);
    EXPECT_FALSE(client.is_up());
    EXPECT_EQ(server.seen_count(), 0u);
    EXPECT_GE(server.stats().proxy_headers_refused, 1u);
}

// Its stream module speaks version 1 alone.
TEST_F(RealBalancer, NginxPassesTlsThroughWithVersion1) {
    const std::string config = fmt::format(
        "load_module /usr/lib/nginx/modules/ngx_stream_module.so;\ndaemon off;\n"
        "master_process off;\npid {0}/pid;\nerror_log {0}/log;\nevents {{}}\n"
        "stream {{ server {{ listen {1}; proxy_pass {2}; proxy_protocol on; }} }}\n",
        folder.path(), front.text(), server.at().text());
    ASSERT_NO_FATAL_FAILURE(
        start("/usr/sbin/nginx",
              {"-p", folder.path(), "-c", folder.file("conf"), "-e", folder.file("log")}, config));
    expect_passes();
}

}  // namespace
}  // namespace cvlan::http::test
