// SPDX-License-Identifier: Apache-2.0
#include "enrolee/session.h"

#include <gtest/gtest.h>

namespace cvlan::enrolee {
namespace {

http::Response problem(int status, const std::string& code) {
    http::Response response;
    response.status = status;
    response.body = fmt::format(
        R"({{"type":"about:blank","title":"t","status":{},"code":"{}","detail":"why","requestId":"x"}})",
        status, code);
    return response;
}

TEST(Refusal, CarriesTheControllersOwnWords) {
    const Refusal refusal = refusal_of(problem(410, "TOKEN_SPENT"));
    EXPECT_EQ(refusal.status, 410);
    EXPECT_EQ(refusal.code, "TOKEN_SPENT");
    EXPECT_EQ(refusal.error.code, Code::Gone);
    EXPECT_EQ(refusal.error.message, "why");
}

TEST(Refusal, OfAnAnswerThatIsNoProblemSaysItsStatus) {
    http::Response response;
    response.status = 502;
    response.body = "<html>";
    EXPECT_EQ(refusal_of(response).error.message, "the controller answered 502");
    EXPECT_EQ(refusal_of(response).error.code, Code::Unavailable);
}

TEST(Refusal, OnlyTheControllersOwnCodesEndANode) {
    EXPECT_EQ(refused_of(refusal_of(problem(403, "NODE_REVOKED"))), Refused::Revoked);
    EXPECT_EQ(refused_of(refusal_of(problem(403, "NODE_EXPIRED"))), Refused::Expired);
    EXPECT_EQ(refused_of(refusal_of(problem(403, "CERTIFICATE_SUPERSEDED"))), Refused::No);
    EXPECT_EQ(refused_of(refusal_of(problem(403, "NODE_DELETED"))), Refused::Deleted);
    EXPECT_EQ(refused_of(refusal_of(problem(403, "CERTIFICATE_EXPIRED"))), Refused::No);
    EXPECT_EQ(refused_of(refusal_of(problem(403, "READ_ONLY"))), Refused::No);
    EXPECT_EQ(refused_of(refusal_of(problem(503, "NODE_REVOKED"))), Refused::No);
    EXPECT_EQ(refused_of(Refusal{}), Refused::No);
}

TEST(HttpDate, IsReadToTheSecondOrRefused) {
    EXPECT_EQ(rfc3339(*parse_http_date("Fri, 20 Nov 2026 21:04:05 GMT")),
              "2026-11-20T21:04:05.000Z");
    for (const char* text : {"", "Fri, 20 Nov 2026 21:04:05", "Fri, 20 Nov 2026 21:04:05 GMT ",
                             "2026-11-20T21:04:05Z"})
        EXPECT_FALSE(parse_http_date(text)) << text;
}

}  // namespace
}  // namespace cvlan::enrolee
