// SPDX-License-Identifier: Apache-2.0
#include "api/logins.h"

#include "api/convert.h"
#include "api/error.h"
#include "base/log.h"

namespace cvlan::api {

namespace wire = model::wire;

namespace {

// After so many failures in a row nobody logs in as this one, and so many from one place let nobody
// log in from there, until the last is so long ago.
constexpr int64_t kFailuresAsOne = 10;
constexpr int64_t kFailuresFromOne = 100;
constexpr std::chrono::minutes kForgotten{15};
constexpr size_t kShortestPassword = 12;

constexpr const char* kLogin = "POST /api/v1/auth/login";
constexpr const char* kUseLink = "POST /api/v1/auth/links";
constexpr const char* kRefused = "LOGIN_REFUSED";
constexpr const char* kLocked = "LOGIN_LOCKED";
constexpr const char* kPasswordRefused = "PASSWORD_REFUSED";

std::string hash_of(std::string_view secret) { return hex(sha256(as_bytes(secret))); }

// One that waits for its password to be checked. The request is gone by then.
struct Attempt {
    Context& context;
    store::Cause cause;
    std::string who;  // the subjects that failures are counted by
    std::string where;
    std::optional<store::Login> known;
    http::Reply reply;
    const char* action = kLogin;
};
using AttemptPtr = std::shared_ptr<Attempt>;

// Whoever is named, be there such an account or not: how long a lock lasts tells nothing.
std::string subject_of(const wire::Login& body, const std::string& email) {
    return "as:" + hash_of(body.tenant.value_or("") + '\n' + email);
}

std::string subject_of(const http::Request& request) {
    if (request.local) return "from:unix";
    const Address& address = request.peer.address;
    return "from:" + Prefix::of(address, address.is_v4() ? 32 : 64)->text();
}

http::Response busy(const std::string& request_id) {
    return error_response({Code::Unavailable, "too many logins at once"}, request_id);
}

// True where the answer was given already.
Result<bool> is_locked(Attempt& attempt) {
    auto accounts = attempt.context.store.accounts();
    auto as_one = accounts.failures(attempt.who);
    if (!as_one) return failed(as_one.error());
    auto from_one = accounts.failures(attempt.where);
    if (!from_one) return failed(from_one.error());
    return *as_one >= kFailuresAsOne || *from_one >= kFailuresFromOne;
}

// In the audit of whose account it is; equal ones are one entry there.
void note(const Attempt& attempt, const char* outcome) {
    store::Refusal refused;
    if (attempt.known) {
        refused.tenant_id = attempt.known->account.tenant_id;
        refused.object_id = attempt.known->account.id;
    }
    refused.cause = attempt.cause;
    refused.action = attempt.action;
    refused.outcome = outcome;
    refused.at = attempt.context.clock.now();
    attempt.context.refusals->note(refused);
    if (std::string_view(outcome) != kLocked)
        return log::warn("api.login_refused", {{"peer", attempt.cause.source},
                                               {"request", attempt.cause.request_id},
                                               {"tenant", refused.tenant_id},
                                               {"account", refused.object_id}});
    // It costs nothing to be refused so: whoever likes to is, as often as they like.
    if (const auto left_out = attempt.context.warnings->due("login_locked"))
        log::warn("api.login_locked", {{"peer", attempt.cause.source},
                                       {"request", attempt.cause.request_id},
                                       {"tenant", refused.tenant_id},
                                       {"account", refused.object_id},
                                       {"left_out", *left_out}});
}

// A request of somebody who proved nothing, and of whom the route keeps no account.
struct Stranger {
    Context& context;
    store::Cause cause;
    const char* action;
    http::Reply reply;
};

// An answer that turns somebody away stands in the audit, as it does where an identity was asked
// for; one that finds a fault in the request, or in the controller, does not.
void turn_away(Stranger& stranger, http::Response response) {
    const bool is_refused = response.status == 403 || response.status == 404 ||
                            response.status == 409 || response.status == 410;
    if (is_refused) {
        const auto problem = model::decode<wire::Problem>(response.body, model::kDocument);
        const std::string code = problem ? problem->code : std::to_string(response.status);
        stranger.context.refusals->note(
            {"", stranger.cause, stranger.action, "", code, 1, stranger.context.clock.now()});
        if (const auto left_out = stranger.context.warnings->due("stranger_refused " + code))
            log::warn("api.stranger_refused", {{"peer", stranger.cause.source},
                                               {"request", stranger.cause.request_id},
                                               {"action", stranger.action},
                                               {"code", code},
                                               {"left_out", *left_out}});
    }
    stranger.reply.send(std::move(response));
}

void answer_locked(Attempt& attempt) {
    note(attempt, kLocked);
    auto response =
        refusal(429, kLocked, "too many failed logins: try again later", attempt.cause.request_id);
    response.headers.push_back(
        {"Retry-After", std::to_string(std::chrono::seconds(kForgotten).count())});
    attempt.reply.send(std::move(response));
}

void refuse_as(Attempt& attempt, const char* outcome, http::Response answer) {
    Context& context = attempt.context;
    const auto noted = context.store.accounts().note_failure(
        {{attempt.who, attempt.where}, context.clock.now() + kForgotten});
    note(attempt, outcome);
    if (!noted) return attempt.reply.send(error_response(noted.error(), attempt.cause.request_id));
    attempt.reply.send(std::move(answer));
}

void refuse(Attempt& attempt) {
    refuse_as(attempt, kRefused,
              refusal(401, kRefused, "tenant, e-mail address or password is wrong",
                      attempt.cause.request_id));
}

void start_session(Attempt& attempt) {
    Context& context = attempt.context;
    const store::Login& known = *attempt.known;
    const SecretText secret(base64url(random_bytes(32)));
    const auto store =
        context.store.as({known.account.actor(), attempt.cause.source, attempt.cause.request_id});
    auto started = store->accounts().start_session({{known.account.tenant_id, known.account.id},
                                                    known.password_hash,
                                                    hash_of(secret.reveal()),
                                                    context.clock.now() + kSessionLife},
                                                   attempt.who);
    if (!started)
        return attempt.reply.send(error_response(started.error(), attempt.cause.request_id));
    log::info("api.login", {{"tenant", known.account.tenant_id},
                            {"account", known.account.id},
                            {"peer", attempt.cause.source}});
    auto response = json_response(
        201,
        wire::Session{to_wire(started->account), csrf_token(secret.reveal()), started->expires_at});
    response.headers.push_back(
        {"Set-Cookie", fmt::format("{}={}; Path=/; Secure; HttpOnly; SameSite=Strict",
                                   kSessionCookie, secret.reveal())});
    response.headers.push_back({"Cache-Control", "no-store"});
    attempt.reply.send(std::move(response));
}

// Whoever guesses on many connections at once has been counted meanwhile.
void finish_login(Attempt& attempt, bool is_right) {
    const auto locked = is_locked(attempt);
    if (!locked)
        return attempt.reply.send(error_response(locked.error(), attempt.cause.request_id));
    if (*locked) return answer_locked(attempt);
    if (!is_right || !attempt.known) return refuse(attempt);
    // Only who has the password learns it.
    if (attempt.known->is_suspended) {
        note(attempt, store::kTenantSuspended);
        return attempt.reply.send(refusal(403, store::kTenantSuspended, "the tenant is suspended",
                                          attempt.cause.request_id));
    }
    start_session(attempt);
}

Result<void> check_password(const std::string& password, const char* field) {
    if (password.size() >= kShortestPassword) return {};
    return failed(Error{Code::Invalid,
                        fmt::format("{}: must have {} bytes or more", field, kShortestPassword), 0,
                        fmt::format("/{}", field)});
}

// Whose password is set, and as whom.
struct Setting {
    Stranger stranger;
    std::string link_hash;
    std::optional<std::string> email{};  // of the first operator
};

void finish_link(Setting& setting, const std::string& password_hash) {
    Stranger& stranger = setting.stranger;
    if (password_hash.empty()) return stranger.reply.send(busy(stranger.cause.request_id));
    const auto store = stranger.context.store.as(stranger.cause);
    auto accounts = store->accounts();
    auto account = setting.email
                       ? accounts.bootstrap(setting.link_hash, *setting.email, password_hash)
                       : accounts.accept(setting.link_hash, password_hash);
    if (!account)
        return turn_away(stranger, error_response(account.error(), stranger.cause.request_id));
    log::info("api.password_set", {{"tenant", account->tenant_id},
                                   {"account", account->id},
                                   {"peer", stranger.cause.source}});
    stranger.reply.send(json_response(200, to_wire(*account)));
}

// The bootstrap's link needs an e-mail address, which an account's own has already.
Result<std::optional<std::string>> read_email(const store::Key& link, const wire::LinkUse& body) {
    if (!link.id.empty()) return std::optional<std::string>{};
    auto email = model::check_email(body.email.value_or(""));
    if (!email) return failed(email.error());
    return std::optional(*email);
}

// Who changes their own password, while the present one is checked and the new one is hashed.
struct Change {
    Attempt attempt;
    std::string session_id;  // that the caller came with; empty: with an access token
    SecretText wanted;
    EventLoop* loop;  // of the request
};
using ChangePtr = std::shared_ptr<Change>;

void finish_change(Change& change, const std::string& password_hash) {
    Attempt& attempt = change.attempt;
    if (password_hash.empty()) return attempt.reply.send(busy(attempt.cause.request_id));
    const store::Login& known = *attempt.known;
    const auto store = attempt.context.store.as(attempt.cause);
    auto changed = store->accounts().change_password({{known.account.tenant_id, known.account.id},
                                                      known.password_hash,
                                                      password_hash,
                                                      change.session_id},
                                                     attempt.who);
    if (!changed)
        return attempt.reply.send(error_response(changed.error(), attempt.cause.request_id));
    log::info(
        "api.password_changed",
        {{"tenant", changed->tenant_id}, {"account", changed->id}, {"peer", attempt.cause.source}});
    attempt.reply.send(no_content());
}

void check_change(const ChangePtr& change, bool is_right) {
    Attempt& attempt = change->attempt;
    const auto locked = is_locked(attempt);
    if (!locked)
        return attempt.reply.send(error_response(locked.error(), attempt.cause.request_id));
    if (*locked) return answer_locked(attempt);
    if (!is_right)
        return refuse_as(attempt, kPasswordRefused,
                         refusal(403, kPasswordRefused, "the present password is another one",
                                 attempt.cause.request_id));
    const bool is_queued = attempt.context.passwords.hash(
        std::move(change->wanted),
        [change](const std::string& made) { finish_change(*change, made); }, change->loop);
    if (!is_queued) attempt.reply.send(busy(attempt.cause.request_id));
}

// Of who asks, where that is a user.
Result<store::Login> own_login(Context& context, const AdminIdentity& who) {
    if (!who.account) return fail(Code::Invalid, "whoever asks has no account of their own");
    auto known = context.store.accounts().login_of(*who.account);
    if (known && known->account.kind != model::AccountKind::User)
        return fail(Code::Invalid, "a service account has no password");
    return known;
}

}  // namespace

void change_password(Context& context, const Call& call, const AdminIdentity& who,
                     http::Reply reply) {
    const http::Request& request = call.request;
    auto body = model::decode<wire::PasswordChange>(request.body);
    if (!body) return reply.send(error_response(body.error(), request.request_id));
    SecretText password(std::move(body->password)), wanted(std::move(body->new_password));
    if (auto good = check_password(wanted.reveal(), "newPassword"); !good)
        return reply.send(error_response(good.error(), request.request_id));
    auto known = own_login(context, who);
    if (!known) return reply.send(error_response(known.error(), request.request_id));
    const std::string hash = known->password_hash;
    // Counted apart from logins: whoever fails at those does not keep the user from this.
    const std::string subject = "change:" + known->account.id;
    const auto change = std::make_shared<Change>(
        Change{{context, cause_of(request, who.actor), subject, subject_of(request),
                std::move(*known), std::move(reply), "POST /api/v1/auth/password"},
               who.by_session ? who.credential_id : "",
               std::move(wanted),
               request.loop});
    Attempt& attempt = change->attempt;
    const auto locked = is_locked(attempt);
    if (!locked) return attempt.reply.send(error_response(locked.error(), request.request_id));
    if (*locked) return answer_locked(attempt);
    const bool is_queued = context.passwords.verify(
        hash, std::move(password), [change](bool is_right) { check_change(change, is_right); },
        request.loop);
    if (!is_queued) attempt.reply.send(busy(request.request_id));
}

void login(Context& context, const Call& call, http::Reply reply) {
    const http::Request& request = call.request;
    auto body = model::decode<wire::Login>(request.body);
    if (!body) return reply.send(error_response(body.error(), request.request_id));
    if (auto refused = refuse_origin(request)) {
        Stranger stranger{context, cause_of(request, "anonymous"), kLogin, std::move(reply)};
        return turn_away(stranger, std::move(*refused));
    }
    SecretText password(std::move(body->password));
    const auto email = model::check_email(body->email);
    if (!email) return reply.send(error_response(email.error(), request.request_id));
    auto known = context.store.accounts().login(body->tenant, *email);
    if (!known) return reply.send(error_response(known.error(), request.request_id));
    const auto attempt = std::make_shared<Attempt>(
        Attempt{context, cause_of(request, "anonymous"), subject_of(*body, *email),
                subject_of(request), std::move(*known), std::move(reply)});
    const auto locked = is_locked(*attempt);
    if (!locked) return attempt->reply.send(error_response(locked.error(), request.request_id));
    if (*locked) return answer_locked(*attempt);
    const bool is_queued = context.passwords.verify(
        attempt->known ? attempt->known->password_hash : "", std::move(password),
        [attempt](bool is_right) { finish_login(*attempt, is_right); }, request.loop);
    if (!is_queued) attempt->reply.send(busy(request.request_id));
}

void use_link(Context& context, const Call& call, http::Reply reply) {
    const http::Request& request = call.request;
    auto body = model::decode<wire::LinkUse>(request.body);
    if (!body) return reply.send(error_response(body.error(), request.request_id));
    const auto setting = std::make_shared<Setting>(
        Setting{{context, cause_of(request, "anonymous"), kUseLink, std::move(reply)},
                hash_of(body->secret)});
    Stranger& stranger = setting->stranger;
    const auto answer = [&](http::Response response) { turn_away(stranger, std::move(response)); };
    if (auto refused = refuse_origin(request)) return answer(std::move(*refused));
    SecretText password(std::move(body->password));
    if (auto good = check_password(password.reveal(), "password"); !good)
        return answer(error_response(good.error(), request.request_id));
    // Before any work is done for it.
    auto link = context.store.accounts().link(setting->link_hash);
    if (!link) return answer(error_response(link.error(), request.request_id));
    auto email = read_email(*link, *body);
    if (!email) return answer(error_response(email.error(), request.request_id));
    setting->email = std::move(*email);
    const bool is_queued = context.passwords.hash(
        std::move(password), [setting](const std::string& made) { finish_link(*setting, made); },
        request.loop);
    if (!is_queued) answer(busy(request.request_id));
}

http::Response show_me(Context& context, const Call& call, const AdminIdentity& who) {
    wire::Me me;
    me.actor = who.actor;
    me.tenant_id = who.scope;
    me.role = model::to_wire(who.role);
    if (who.account) {
        auto account = context.store.accounts().get(who.account->tenant_id, who.account->id);
        if (!account) return error_response(account.error(), call.request.request_id);
        me.account = to_wire(*account);
    }
    return json_response(200, me);
}

http::Response logout(Context& context, const Call& call, const AdminIdentity& who) {
    if (!who.account) return no_content();
    auto accounts = call.store.accounts();
    const auto ended =
        who.by_session
            ? accounts.end_session(*who.account, who.credential_id)
            : accounts.remove_token(who.account, {who.account->tenant_id, who.credential_id})
                  .map([](const model::AccessToken&) {});
    if (!ended) return error_response(ended.error(), call.request.request_id);
    context.admins.forget(who.credential_id);
    log::info("api.logout", {{"account", who.account->id}});
    auto response = no_content();
    response.headers.push_back(
        {"Set-Cookie",
         fmt::format("{}=; Path=/; Secure; HttpOnly; SameSite=Strict; Max-Age=0", kSessionCookie)});
    return response;
}

MadeLink make_link(const Context& context, std::chrono::hours life) {
    const std::string secret = base64url(random_bytes(32));
    const WallTime expires_at = context.clock.now() + life;
    return {{hash_of(secret), expires_at},
            {fmt::format("{}/accept#{}", context.settings.api_url, secret), expires_at}};
}

}  // namespace cvlan::api
