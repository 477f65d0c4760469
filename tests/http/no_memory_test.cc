// SPDX-License-Identifier: Apache-2.0
// TLS that can not be had: this program's SSL_new goes before libssl's.
#include <dlfcn.h>
#include <gtest/gtest.h>
#include <openssl/ssl.h>

#include <atomic>

#include "tests/http/raw_client.h"
#include "tests/http/server_fixture.h"
#include "tests/support/test_ca.h"

namespace {
std::atomic<bool> has_no_memory = false;
}

extern "C" SSL* SSL_new(SSL_CTX* context) {
    static const auto real = reinterpret_cast<SSL* (*)(SSL_CTX*)>(dlsym(RTLD_NEXT, "SSL_new"));
    return has_no_memory ? nullptr : real(context);
}

namespace cvlan::http::test {
namespace {

TEST(ATlsPort, ServesNobodyInPlainTextWhenThereIsNoMemoryForTls) {
    const cvlan::test::TestCa ca("root");
    const cvlan::test::IssuedCert own = ca.issue({.name = "server"});
    Limits limits;
    limits.connections_per_address = 1;
    TestServer server(TlsServerOptions{own.cert_pem + ca.pem(), SecretText(own.key_pem)}, limits);
    has_no_memory = true;
    {
        RawClient plain(server.at());
        plain.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n");
        EXPECT_EQ(plain.rest(), "");
    }
    has_no_memory = false;
    EXPECT_EQ(server.stats().accepted, 0u);
    EXPECT_EQ(server.stats().refused, 1u);
    // Nor does it count among its address's connections.
    RawClient next(server.at());
    next.send("no TLS either\r\n\r\n");
    EXPECT_FALSE(next.rest().starts_with("HTTP"));
    EXPECT_EQ(server.stats().accepted, 1u);
    EXPECT_TRUE(server.seen().empty());
}

}  // namespace
}  // namespace cvlan::http::test
