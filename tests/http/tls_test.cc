// SPDX-License-Identifier: Apache-2.0
// F16: what each kind of certificate gets, with OpenSSL's own client on the other side.
#include <gtest/gtest.h>
#include <openssl/err.h>
#include <openssl/ssl.h>

#include <functional>

#include "http/tls_context.h"
#include "tests/http/server_fixture.h"
#include "tests/http/tls_client.h"

namespace cvlan::http::test {
namespace {

using namespace std::chrono_literals;
using cvlan::test::CertWish;
using cvlan::test::IssuedCert;
using cvlan::test::TestCa;

constexpr const char* kGet = "GET / HTTP/1.1\r\nHost: localhost\r\n\r\n";

TEST(AClientCertificate, ThatVerifiesIsHandedToTheHandler) {
    TestServer server(authorities().options(ClientCert::Required), {});
    TlsClient client(server.at(), authorities().client);
    EXPECT_EQ(status_of(client.ask(kGet)), 200);
    ASSERT_EQ(server.seen().size(), 1u);
    EXPECT_EQ(server.seen()[0].client_certificate.pem(), authorities().client.cert_pem);
}

TEST(AClientCertificate, MayBeMissingWhereItIsOptionalAlone) {
    TestServer optional(authorities().options(ClientCert::Optional), {});
    TlsClient client(optional.at());
    EXPECT_EQ(status_of(client.ask(kGet)), 200);
    EXPECT_FALSE(optional.seen().at(0).client_certificate);
    TestServer required(authorities().options(ClientCert::Required), {});
    TlsClient refused(required.at());
    EXPECT_EQ(refused.ask(kGet), "");
    EXPECT_EQ(refused.alert(), SSL_AD_CERTIFICATE_REQUIRED);
    EXPECT_TRUE(required.seen().empty());
}

TEST(AClientCertificate, IsNotAskedForWhereNoneCounts) {
    TestServer server(authorities().options(ClientCert::None), {});
    TlsClient client(server.at(), authorities().client);
    EXPECT_EQ(status_of(client.ask(kGet)), 200);
    EXPECT_FALSE(server.seen().at(0).client_certificate);
}

TEST(AClientCertificate, ThatDoesNotVerifyEndsInAnAlertAndNoHandler) {
    const auto& all = authorities();
    const struct {
        const char* what;
        IssuedCert own;
        int alert;
    } wrong[] = {
        {"expired", all.middle.issue({.eku = "clientAuth", .valid_from = -7200, .valid_to = -60}),
         SSL_AD_CERTIFICATE_EXPIRED},
        {"not yet valid", all.middle.issue({.eku = "clientAuth", .valid_from = 60}),
         SSL_AD_BAD_CERTIFICATE},
        {"for servers", all.middle.issue({.eku = "serverAuth"}), SSL_AD_UNSUPPORTED_CERTIFICATE},
        {"for nothing in particular", all.middle.issue({.eku = ""}),
         SSL_AD_UNSUPPORTED_CERTIFICATE},
        {"of another CA", all.stranger.issue({.eku = "clientAuth"}), SSL_AD_UNKNOWN_CA},
        {"16 KiB long", all.middle.issue({.eku = "clientAuth", .padding = 17'000}), 0},
    };
    for (const ClientCert ask : {ClientCert::Optional, ClientCert::Required}) {
        TestServer server(all.options(ask), {});
        for (const auto& one : wrong) {
            SCOPED_TRACE(one.what);
            const auto failed_before = server.stats().handshakes_failed;
            TlsClient client(server.at(), one.own);
            EXPECT_EQ(client.ask(kGet), "");
            if (one.alert != 0) {
                EXPECT_EQ(client.alert(), one.alert);
            }
            EXPECT_EQ(server.stats().handshakes_failed, failed_before + 1);
        }
        EXPECT_TRUE(server.seen().empty());
        TlsClient good(server.at(), all.client);
        EXPECT_EQ(status_of(good.ask(kGet)), 200);
    }
}

TEST(TlsServer, SpeaksVersionThreeAlone) {
    TestServer server(authorities().options(ClientCert::None), {});
    const TlsClient old(server.at(), {}, [](SSL_CTX* context) {
        SSL_CTX_set_max_proto_version(context, TLS1_2_VERSION);
    });
    EXPECT_FALSE(old.is_up());
    EXPECT_EQ(old.alert(), SSL_AD_PROTOCOL_VERSION);
    TlsClient fresh(server.at());
    EXPECT_STREQ(SSL_get_version(fresh.ssl()), "TLSv1.3");
}

TEST(TlsServer, ChoosesHttp11AndRefusesHttp2Alone) {
    TestServer server(authorities().options(ClientCert::None), {});
    const auto offering = [](std::string_view protocols) {
        return [protocols](SSL_CTX* context) {
            SSL_CTX_set_alpn_protos(context,
                                    reinterpret_cast<const unsigned char*>(protocols.data()),
                                    static_cast<unsigned>(protocols.size()));
        };
    };
    TlsClient browser(server.at(), {}, offering("\x02h2\x08http/1.1"));
    const unsigned char* chosen = nullptr;
    unsigned size = 0;
    SSL_get0_alpn_selected(browser.ssl(), &chosen, &size);
    EXPECT_EQ(std::string_view(reinterpret_cast<const char*>(chosen), size), "http/1.1");
    EXPECT_EQ(status_of(browser.ask(kGet)), 200);
    const TlsClient h2_only(server.at(), {}, offering("\x02h2"));
    EXPECT_FALSE(h2_only.is_up());
    EXPECT_EQ(h2_only.alert(), SSL_AD_NO_APPLICATION_PROTOCOL);
}

TEST(TlsServer, TakesNoEarlyDataAndResumesNoSessionWithACertificate) {
    TestServer server(authorities().options(ClientCert::Required), {});
    TlsClient client(server.at(), authorities().client);
    EXPECT_EQ(status_of(client.ask(kGet)), 200);
    SSL_SESSION* session = SSL_get1_session(client.ssl());
    EXPECT_EQ(SSL_SESSION_is_resumable(session), 0);
    EXPECT_EQ(SSL_SESSION_get_max_early_data(session), 0u);
    SSL_SESSION_free(session);
    EXPECT_EQ(SSL_renegotiate(client.ssl()), 0);
}

TEST(TlsServer, GreetsNewConnectionsWithARenewedCertificate) {
    const auto& all = authorities();
    TestServer server(all.options(ClientCert::None), {});
    TlsClient before(server.at());
    const IssuedCert renewed = all.middle.issue({.name = "renewed"});
    server.call([&] {
        EXPECT_TRUE(server.server().update_tls({renewed.cert_pem, SecretText(renewed.key_pem)}));
        EXPECT_FALSE(
            server.server().update_tls({renewed.cert_pem, SecretText(all.server.key_pem)}));
    });
    TlsClient after(server.at());
    EXPECT_EQ(peer_name(before.ssl()), "server");
    EXPECT_EQ(peer_name(after.ssl()), "renewed");
    EXPECT_EQ(status_of(before.ask(kGet)), 200);
    EXPECT_EQ(status_of(after.ask(kGet)), 200);
}

TEST(TlsServer, ClosesWhoDoesNotShakeHandsInTime) {
    Limits limits;
    limits.handshake = 30ms;
    TestServer server(authorities().options(ClientCert::None), limits);
    RawClient client(server.at());
    EXPECT_TRUE(client.is_closed());
    EXPECT_EQ(server.stats().handshakes_failed, 1u);
}

TEST(TlsServer, TakesNewConnectionsWhenThoseThatShakeHandsAreDone) {
    Limits limits;
    limits.young_handshakes = 4;
    TestServer server(authorities().options(ClientCert::None), limits);
    std::vector<std::unique_ptr<RawClient>> silent;
    while (server.stats().admission_waits == 0)
        silent.push_back(std::make_unique<RawClient>(server.at()));
    silent.clear();
    TlsClient client(server.at());
    EXPECT_EQ(status_of(client.ask(kGet)), 200);
    while (server.stats().handshaking > 0) continue;  // those that left without a word
}

TEST(TlsServer, SpendsNothingOnWhoLeftWhileItWaited) {
    TestServer server(authorities().options(ClientCert::None), {});
    server.call([&] {  // who keeps the server from accepting
        for (int i = 0; i < 3; ++i) RawClient(server.at()).send("a hello");
    });
    TlsClient client(server.at());
    EXPECT_EQ(status_of(client.ask(kGet)), 200);
    EXPECT_EQ(server.stats().abandoned, 3u);
    EXPECT_EQ(server.stats().handshakes_failed, 0u);
    EXPECT_EQ(server.stats().accepted, 1u);
}

TEST(TlsServer, DropsWhatIsNoTls) {
    TestServer server(authorities().options(ClientCert::None), {});
    RawClient client(server.at());
    client.send(kGet);
    const std::string answer = client.rest();
    EXPECT_EQ(answer.find("HTTP"), std::string::npos);
    EXPECT_TRUE(server.seen().empty());
}

TEST(TlsServer, SendsALargeAnswerWholeToASlowReader) {
    const auto large = std::make_shared<const std::string>(2'000'000, 'x');
    TestServer server(authorities().options(ClientCert::None), {}, [&](Request, Reply reply) {
        reply.send({.chunks = {large, std::make_shared<const std::string>("]")}});
    });
    TlsClient client(server.at());
    EXPECT_EQ(body_of(client.ask(kGet)).size(), 2'000'001u);
}

TEST(TlsOptions, SayWhatIsWrongWithThem) {
    const auto& all = authorities();
    EventLoop loop;
    const auto error_of = [&](const TlsServerOptions& options) {
        const auto made = Server::listen_tls(loop, *Endpoint::parse("127.0.0.1:0"), options,
                                             {[](Request, Reply) {}});
        return made ? "" : made.error().message;
    };
    EXPECT_NE(error_of({"", SecretText(all.server.key_pem)}), "");
    EXPECT_NE(error_of({"nonsense", SecretText(all.server.key_pem)}), "");
    EXPECT_NE(error_of({all.server.cert_pem, SecretText("nonsense")}), "");
    EXPECT_NE(error_of({all.server.cert_pem, SecretText(all.client.key_pem)}), "");
    const std::string cut = all.server.cert_pem.substr(0, all.server.cert_pem.size() / 2);
    EXPECT_NE(error_of({all.server.cert_pem + cut, SecretText(all.server.key_pem)}), "");
    EXPECT_NE(
        error_of({all.server.cert_pem, SecretText(all.server.key_pem), {}, ClientCert::Optional}),
        "");
    EXPECT_EQ(error_of({all.server.cert_pem, SecretText(all.server.key_pem)}), "");
}

}  // namespace
}  // namespace cvlan::http::test
