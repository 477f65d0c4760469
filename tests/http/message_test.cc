// SPDX-License-Identifier: Apache-2.0
#include "http/message.h"

#include <gtest/gtest.h>

#include "http/encode.h"

namespace cvlan::http {
namespace {

TEST(Headers, AreFoundInAnyCaseOfLetters) {
    const Headers headers{{"Content-Type", "a"}, {"X", "1"}, {"x", "2"}};
    ASSERT_NE(find(headers, "content-TYPE"), nullptr);
    EXPECT_EQ(*find(headers, "X"), "1");
    EXPECT_EQ(find(headers, "Content"), nullptr);
    EXPECT_EQ(find({}, ""), nullptr);
}

TEST(AProblem, HasAllItsMembersAndStaysJson) {
    const auto answer = problem({400, "BAD_REQUEST", "say \"x\" \\ \n"}, "id-1");
    EXPECT_EQ(answer.status, 400);
    EXPECT_EQ(answer.content_type, "application/problem+json");
    EXPECT_EQ(answer.body,
              R"({"type":"about:blank","title":"Bad Request","status":400,"code":"BAD_REQUEST",)"
              R"("detail":"say \"x\" \\ ?","requestId":"id-1"})");
}

TEST(AResponseHead, LeavesOutTheLengthOfWhatHasNoBody) {
    const auto no_content = encode_head(Response{.status = 204}, {"id", false});
    ASSERT_TRUE(no_content);
    EXPECT_TRUE(no_content->starts_with("HTTP/1.1 204 No Content\r\n"));
    EXPECT_EQ(no_content->find("Content-Length"), std::string::npos);
    Response split{.body = "ab"};
    split.chunks = {std::make_shared<const std::string>("cde")};
    const auto ok = encode_head(split, {"id", true});
    ASSERT_TRUE(ok);
    EXPECT_NE(ok->find("Content-Length: 5\r\n"), std::string::npos);
    EXPECT_NE(ok->find("X-Request-Id: id\r\n"), std::string::npos);
    EXPECT_NE(ok->find("Connection: close\r\n"), std::string::npos);
    EXPECT_TRUE(ok->ends_with("\r\n\r\n"));
}

TEST(AResponseHead, CanNotBeSplitByAHeader) {
    for (const char* value : {"a\r\nX: b", "a\nb", "a\rb", "\x01"}) {
        const auto head = encode_head(Response{.headers = {{"X", value}}}, {"id", false});
        ASSERT_FALSE(head);
        EXPECT_EQ(head.error().code, Code::Invalid);
    }
    EXPECT_FALSE(encode_head(Response{.headers = {{"a b", "c"}}}, {"id", false}));
    EXPECT_FALSE(encode_head(Response{.headers = {{"", "c"}}}, {"id", false}));
    EXPECT_FALSE(encode_head(Response{.status = 42}, {"id", false}));
}

TEST(ARequestHead, IsRefusedWhenItCouldBeMoreThanOne) {
    EXPECT_FALSE(encode_head(ClientRequest{.target = "/a b"}, "h"));
    EXPECT_FALSE(encode_head(ClientRequest{.target = "/\r\nX: a"}, "h"));
    EXPECT_FALSE(encode_head(ClientRequest{.target = "a"}, "h"));
    EXPECT_FALSE(encode_head(ClientRequest{.method = "G T", .target = "/"}, "h"));
    EXPECT_FALSE(encode_head(ClientRequest{.target = "/", .headers = {{"X", "\n"}}}, "h"));
    EXPECT_FALSE(encode_head(ClientRequest{.target = "/"}, "h\r\n"));
    const auto post = encode_head(ClientRequest{.method = "POST", .target = "/a?b"}, "h:1");
    ASSERT_TRUE(post);
    EXPECT_TRUE(post->starts_with("POST /a?b HTTP/1.1\r\nHost: h:1\r\n"));
    EXPECT_NE(post->find("Content-Length: 0\r\n"), std::string::npos);
}

TEST(AReason, IsKnownForWhatWeSend) {
    EXPECT_EQ(reason(431), "Request Header Fields Too Large");
    EXPECT_EQ(reason(299), "");
}

}  // namespace
}  // namespace cvlan::http
