// SPDX-License-Identifier: Apache-2.0
// F03, F04, F05, F15: every line of tests/data/http_smuggling.txt over a real socket.
#include "tests/http/smuggling_cases.h"

#include <event2/buffer.h>
#include <gtest/gtest.h>

#include "http/request_reader.h"
#include "tests/http/server_fixture.h"

namespace cvlan::http::test {
namespace {

size_t answers_in(const std::string& bytes) {
    size_t count = 0;
    const std::string_view each = "\r\nX-Request-Id: ";
    for (size_t at = bytes.find(each); at != std::string::npos; at = bytes.find(each, at + 1))
        ++count;
    return count;
}

TEST(Smuggling, EveryCaseGetsItsStatusAndARefusedOneClosesTheConnection) {
    TestServer server;
    const auto cases = smuggling_cases();
    ASSERT_GT(cases.size(), 100u);
    for (const auto& one : cases) {
        SCOPED_TRACE(one.name);
        const size_t seen_before = server.seen_count();
        RawClient client(server.at());
        // The server may answer and close before it has read all.
        client.send(one.bytes);
        if (one.status == 200) {
            EXPECT_EQ(status_of(client.message()), 200);
            EXPECT_EQ(server.seen_count(), seen_before + 1);
            continue;
        }
        // What a smuggler would have appended must not be taken for a request.
        client.send("GET /smuggled HTTP/1.1\r\nHost: a\r\n\r\n");
        const std::string all = client.rest();
        EXPECT_EQ(status_of(all), one.status) << all;
        EXPECT_EQ(answers_in(all), 1u);
        EXPECT_NE(all.find("Connection: close"), std::string::npos);
        EXPECT_NE(all.find("application/problem+json"), std::string::npos);
        EXPECT_EQ(server.seen_count(), seen_before);
    }
}

// The same bytes, one at a time (long ones by 13): a verdict must not depend on how they are cut.
TEST(Smuggling, TheVerdictDoesNotDependOnHowTheBytesAreCut) {
    for (const auto& one : smuggling_cases()) {
        if (one.bytes.size() > 20'000) continue;
        SCOPED_TRACE(one.name);
        evbuffer* input = evbuffer_new();
        RequestReader reader(Limits{});
        auto step = RequestReader::Step::NeedHead;
        const size_t piece = one.bytes.size() > 2'000 ? 13 : 1;
        for (size_t i = 0; i < one.bytes.size(); i += piece) {
            evbuffer_add(input, &one.bytes[i], std::min(piece, one.bytes.size() - i));
            step = reader.read(input);
            if (step == RequestReader::Step::Refused || step == RequestReader::Step::Done) break;
        }
        evbuffer_free(input);
        if (one.status == 200) {
            EXPECT_EQ(step, RequestReader::Step::Done);
        } else {
            ASSERT_EQ(step, RequestReader::Step::Refused);
            EXPECT_EQ(reader.problem().status, one.status) << reader.problem().detail;
        }
    }
}

TEST(Smuggling, ATrailerIsNoHeader) {
    TestServer server;
    RawClient client(server.at());
    client.send(
        "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n"
        "2\r\nhi\r\n0\r\nAuthorization: x\r\nHost: b\r\n\r\n");
    EXPECT_EQ(status_of(client.message()), 200);
    ASSERT_EQ(server.seen().size(), 1u);
    EXPECT_EQ(server.seen()[0].header("Authorization"), nullptr);
    EXPECT_EQ(*server.seen()[0].header("host"), "a");
    EXPECT_EQ(server.seen()[0].body, "hi");
}

// F18: headers with which proxies vouch for others.
TEST(Smuggling, ProxyHeadersChangeNothing) {
    TestServer server;
    const std::string plain = "GET /x HTTP/1.1\r\nHost: a\r\n";
    const std::string vouching[] = {
        "X-SSL-CLIENT-VERIFY: SUCCESS\r\n",   "X-Forwarded-For: 127.0.0.1\r\n",
        "Forwarded: for=127.0.0.1\r\n",       "X-Tenant: other\r\n",
        "X-HTTP-Method-Override: DELETE\r\n", "X-Original-URL: /admin\r\n"};
    RawClient client(server.at());
    client.send(plain + "\r\n");
    const std::string expected = body_of(client.message());
    for (const auto& header : vouching) {
        client.send(plain + header + "\r\n");
        EXPECT_EQ(body_of(client.message()), expected) << header;
    }
    const auto seen = server.seen();
    for (const auto& request : seen) {
        EXPECT_EQ(request.method, "GET");
        EXPECT_EQ(request.path, "/x");
        EXPECT_EQ(request.peer, seen.front().peer);
        EXPECT_FALSE(request.client_certificate);
    }
}

}  // namespace
}  // namespace cvlan::http::test
