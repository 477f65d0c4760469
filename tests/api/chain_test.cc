// SPDX-License-Identifier: Apache-2.0
// What a node and its controller send each other of their chains (RFC 8446 section 4.2.4).
#include <gtest/gtest.h>
#include <openssl/ssl.h>

#include "http/tls_context.h"
#include "pki/authority.h"
#include "pki/certificate.h"

namespace cvlan::api {
namespace {

struct ChainTest : testing::Test {
    std::string folder = [] {
        std::string pattern = testing::TempDir() + "cvlan-chain-XXXXXX";
        return std::string(mkdtemp(pattern.data())) + "/ca";
    }();
    WallTime now = SystemClock().now();

    pki::Authority authority() {
        EXPECT_TRUE(pki::Authority::create(folder, "cvlan.internal", now));
        return std::move(*pki::Authority::open(folder));
    }
    http::SslCtxPtr controller(const pki::Authority& of) {
        const auto key = pki::TlsKey::generate();
        const auto issued = of.issue_server(*key, {"localhost"}, now);
        http::TlsServerOptions options{issued->chain_pem, *key->to_pem()};
        options.client_ca_pem = of.trust_bundle();
        options.client_intermediate_pem = of.intermediate_pem();
        options.client_cert = http::ClientCert::Required;
        return std::move(*http::server_context(options));
    }
    std::shared_ptr<const http::ClientTls> node(const pki::Authority& of, http::TlsTrust trust) {
        const auto key = pki::TlsKey::generate();
        const auto csr = pki::Csr::parse(*pki::create_csr(*key));
        const auto issued = of.issue_node(
            *csr, {"01a20166-00bc-7664-9f5f-65ceda870a53", "01a20166-00bc-7664-9f5f-65ceda870a54"},
            now);
        return *http::client_tls({std::move(trust), issued->chain_pem, *key->to_pem()});
    }
};

// Both sides of a handshake, without a network between them.
struct Handshake {
    http::SslPtr client;
    http::SslPtr server;
    bool is_up = false;

    Handshake(const http::ClientTls& with, SSL_CTX* at)
        : client(std::move(*http::client_ssl(with.context(), "localhost"))), server(SSL_new(at)) {
        BIO* near = nullptr;
        BIO* far = nullptr;
        BIO_new_bio_pair(&near, 64 * 1024, &far, 64 * 1024);
        SSL_set_bio(client.get(), near, near);
        SSL_set_bio(server.get(), far, far);
        SSL_set_connect_state(client.get());
        SSL_set_accept_state(server.get());
        for (int i = 0; i < 10 && !is_up; ++i) {
            SSL_do_handshake(client.get());
            SSL_do_handshake(server.get());
            is_up = SSL_is_init_finished(client.get()) && SSL_is_init_finished(server.get());
        }
    }
    int sent_by_server() { return sk_X509_num(SSL_get_peer_cert_chain(client.get())); }
    // OpenSSL does not count a client's own certificate among them.
    int sent_by_client() { return 1 + sk_X509_num(SSL_get_peer_cert_chain(server.get())); }
};

TEST_F(ChainTest, LeavesOutWhatTheOtherHas) {
    const auto ca = authority();
    const auto at = controller(ca);
    Handshake made(*node(ca, {ca.root_pem()}), at.get());
    ASSERT_TRUE(made.is_up);
    EXPECT_EQ(made.sent_by_server(), 1);
    EXPECT_EQ(made.sent_by_client(), 1);
}

TEST_F(ChainTest, HasTheIntermediateThatTheOtherHasNot) {
    const auto before = authority();
    const auto old_node = node(before, {before.root_pem()});
    const auto old_controller = controller(before);
    ASSERT_TRUE(pki::Authority::renew_intermediate(folder, now));
    const auto after = authority();
    Handshake renewed(*old_node, controller(after).get());
    ASSERT_TRUE(renewed.is_up);
    EXPECT_EQ(renewed.sent_by_server(), 2);
    EXPECT_EQ(renewed.sent_by_client(), 2);
    Handshake early(*node(after, {after.root_pem()}), old_controller.get());
    ASSERT_TRUE(early.is_up);
    EXPECT_EQ(early.sent_by_server(), 2);
    EXPECT_EQ(early.sent_by_client(), 2);
}

TEST_F(ChainTest, IsWholeForWhoKnowsAHashAlone) {
    const auto ca = authority();
    Handshake pinned(*node(ca, {.ca_spki_sha256 = ca.root_spki()}), controller(ca).get());
    ASSERT_TRUE(pinned.is_up);
    EXPECT_EQ(pinned.sent_by_server(), 3);
}

TEST_F(ChainTest, OfAnotherAuthorityIsGoodForNothing) {
    const auto ca = authority();
    folder += "-other";
    const auto other = authority();
    const auto at = controller(ca);
    EXPECT_FALSE(Handshake(*node(other, {ca.root_pem()}), at.get()).is_up);
    EXPECT_FALSE(Handshake(*node(ca, {other.root_pem()}), at.get()).is_up);
}

// Then the bytes of the key still tell whose certificate it is.
TEST_F(ChainTest, ForgottenTheCertificateSaysTheSame) {
    const auto ca = authority();
    Handshake made(*node(ca, {ca.root_pem()}), controller(ca).get());
    X509* leaf = SSL_get0_peer_certificate(made.server.get());
    const auto before = pki::parse_node_certificate(leaf, "cvlan.internal");
    http::forget_chain(made.server.get());
    const auto after = pki::parse_node_certificate(leaf, "cvlan.internal");
    ASSERT_TRUE(before && after);
    EXPECT_EQ(before->key_hash, after->key_hash);
    EXPECT_EQ(before->serial, after->serial);
    EXPECT_NE(EVP_PKEY_get_base_id(X509_get0_pubkey(leaf)), EVP_PKEY_EC);
}

}  // namespace
}  // namespace cvlan::api
