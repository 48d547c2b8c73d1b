/*
 * A PKCS#11 module that hands every call on to another one, and now and then does not: errors, delays, short or wrong answers, as a file
 * says. Only so can a token be seen to fail that never does. TARGET, CONTROL and LOG are paths given to the compiler.
 *
 * A line of CONTROL: NAME ACTION ARGUMENT TIMES. Actions: `rv` answers ARGUMENT instead of calling; `after` calls, and then answers
 * ARGUMENT; `delay` waits ARGUMENT ms first; `short` takes a byte from the answer; `zero` and `ones` overwrite it; `finalize` finalizes
 * the module first; `hide` (of C_GetMechanismList) leaves mechanism ARGUMENT out. TIMES counts down; -1 is for ever.
 */
#include <dlfcn.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#define CK_PTR *
#define CK_DEFINE_FUNCTION(returnType, name) returnType name
#define CK_DECLARE_FUNCTION(returnType, name) returnType name
#define CK_DECLARE_FUNCTION_POINTER(returnType, name) returnType(*name)
#define CK_CALLBACK_FUNCTION(returnType, name) returnType(*name)
#ifndef NULL_PTR
#define NULL_PTR 0
#endif
#include "pkcs11.h"

static CK_FUNCTION_LIST list;
static CK_FUNCTION_LIST_PTR real;
static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;

struct rule {
  char name[32], action[16];
  unsigned long argument;
  long times;
};
static struct rule rules[32];
static int count = 0;
static char last[4096];

/* Read anew when the text has changed; each writer begins with a line of its own. */
static void refresh(void) {
  char text[4096];
  FILE *file = fopen(CONTROL, "r");
  size_t length = file ? fread(text, 1, sizeof text - 1, file) : 0;
  if (file) fclose(file);
  text[length] = 0;
  if (strcmp(text, last) == 0) return;
  strcpy(last, text);
  count = 0;
  for (char *line = strtok(text, "\n"); line && count < 32; line = strtok(NULL, "\n")) {
    struct rule *rule = &rules[count];
    if (sscanf(line, "%31s %15s %li %ld", rule->name, rule->action, (long *)&rule->argument, &rule->times) == 4) count++;
  }
}

static int take(const char *name, const char *action, unsigned long *argument) {
  int found = 0;
  pthread_mutex_lock(&mutex);
  refresh();
  for (int i = 0; i < count && !found; i++) {
    struct rule *rule = &rules[i];
    if (strcmp(rule->name, name) || strcmp(rule->action, action) || rule->times == 0) continue;
    if (rule->times > 0) rule->times--;
    *argument = rule->argument;
    found = 1;
  }
  pthread_mutex_unlock(&mutex);
  return found;
}

static CK_RV before(const char *name) {
  unsigned long argument;
  pthread_mutex_lock(&mutex);
  FILE *log = fopen(LOG, "a");
  if (log) {
    fprintf(log, "%s\n", name);
    fclose(log);
  }
  pthread_mutex_unlock(&mutex);
  if (take(name, "delay", &argument)) {
    struct timespec time = {argument / 1000, (argument % 1000) * 1000000L};
    nanosleep(&time, NULL);
  }
  if (take(name, "finalize", &argument)) real->C_Finalize(NULL_PTR);
  return take(name, "rv", &argument) ? argument : CKR_OK;
}

static CK_RV after(const char *name, CK_RV rv, CK_BYTE_PTR out, CK_ULONG_PTR length) {
  unsigned long argument;
  if (take(name, "after", &argument)) return argument;
  if (rv != CKR_OK || !out) return rv;
  if (length && take(name, "short", &argument)) *length -= 1;
  if (take(name, "zero", &argument)) memset(out, 0, *length);
  if (take(name, "ones", &argument)) memset(out, 255, *length);
  return rv;
}

#define HOOK(name, parameters, arguments, out, length)        \
  static CK_RV hook_##name parameters {                       \
    CK_RV rv = before(#name);                                 \
    if (rv == CKR_OK) rv = real->name arguments;              \
    else return rv;                                           \
    return after(#name, rv, out, length);                     \
  }

HOOK(C_OpenSession, (CK_SLOT_ID a, CK_FLAGS b, CK_VOID_PTR c, CK_NOTIFY d, CK_SESSION_HANDLE_PTR e), (a, b, c, d, e), NULL, NULL)
HOOK(C_CloseSession, (CK_SESSION_HANDLE a), (a), NULL, NULL)
HOOK(C_Login, (CK_SESSION_HANDLE a, CK_USER_TYPE b, CK_UTF8CHAR_PTR c, CK_ULONG d), (a, b, c, d), NULL, NULL)
HOOK(C_Logout, (CK_SESSION_HANDLE a), (a), NULL, NULL)
HOOK(C_Finalize, (CK_VOID_PTR a), (a), NULL, NULL)
HOOK(C_CreateObject, (CK_SESSION_HANDLE a, CK_ATTRIBUTE_PTR b, CK_ULONG c, CK_OBJECT_HANDLE_PTR d), (a, b, c, d), NULL, NULL)
HOOK(C_FindObjectsInit, (CK_SESSION_HANDLE a, CK_ATTRIBUTE_PTR b, CK_ULONG c), (a, b, c), NULL, NULL)
HOOK(C_GenerateKey, (CK_SESSION_HANDLE a, CK_MECHANISM_PTR b, CK_ATTRIBUTE_PTR c, CK_ULONG d, CK_OBJECT_HANDLE_PTR e), (a, b, c, d, e), NULL, NULL)
HOOK(C_EncryptInit, (CK_SESSION_HANDLE a, CK_MECHANISM_PTR b, CK_OBJECT_HANDLE c), (a, b, c), NULL, NULL)
HOOK(C_Encrypt, (CK_SESSION_HANDLE a, CK_BYTE_PTR b, CK_ULONG c, CK_BYTE_PTR d, CK_ULONG_PTR e), (a, b, c, d, e), d, e)
HOOK(C_DecryptInit, (CK_SESSION_HANDLE a, CK_MECHANISM_PTR b, CK_OBJECT_HANDLE c), (a, b, c), NULL, NULL)
HOOK(C_Decrypt, (CK_SESSION_HANDLE a, CK_BYTE_PTR b, CK_ULONG c, CK_BYTE_PTR d, CK_ULONG_PTR e), (a, b, c, d, e), d, e)
HOOK(C_SignInit, (CK_SESSION_HANDLE a, CK_MECHANISM_PTR b, CK_OBJECT_HANDLE c), (a, b, c), NULL, NULL)
HOOK(C_Sign, (CK_SESSION_HANDLE a, CK_BYTE_PTR b, CK_ULONG c, CK_BYTE_PTR d, CK_ULONG_PTR e), (a, b, c, d, e), d, e)
HOOK(C_GenerateRandom, (CK_SESSION_HANDLE a, CK_BYTE_PTR b, CK_ULONG c), (a, b, c), b, &c)

static CK_RV hook_C_GetMechanismList(CK_SLOT_ID slot, CK_MECHANISM_TYPE_PTR out, CK_ULONG_PTR length) {
  CK_RV rv = real->C_GetMechanismList(slot, out, length);
  if (rv != CKR_OK || !out) return rv;
  pthread_mutex_lock(&mutex);
  refresh();
  for (int i = 0; i < count; i++) {
    if (strcmp(rules[i].name, "C_GetMechanismList") || strcmp(rules[i].action, "hide")) continue;
    CK_ULONG kept = 0;
    for (CK_ULONG at = 0; at < *length; at++)
      if (out[at] != rules[i].argument) out[kept++] = out[at];
    *length = kept;
  }
  pthread_mutex_unlock(&mutex);
  return rv;
}

CK_RV C_GetFunctionList(CK_FUNCTION_LIST_PTR_PTR out) {
  if (!real) {
    void *handle = dlopen(TARGET, RTLD_NOW | RTLD_LOCAL);
    CK_C_GetFunctionList get = handle ? (CK_C_GetFunctionList)dlsym(handle, "C_GetFunctionList") : NULL;
    if (!get || get(&real) != CKR_OK) return CKR_GENERAL_ERROR;
    list = *real;
    list.C_GetFunctionList = C_GetFunctionList;
#define PUT(name) list.name = hook_##name
    PUT(C_OpenSession), PUT(C_CloseSession), PUT(C_Login), PUT(C_Logout), PUT(C_Finalize), PUT(C_CreateObject);
    PUT(C_FindObjectsInit), PUT(C_GenerateKey), PUT(C_EncryptInit), PUT(C_Encrypt), PUT(C_DecryptInit), PUT(C_Decrypt);
    PUT(C_SignInit), PUT(C_Sign), PUT(C_GenerateRandom), PUT(C_GetMechanismList);
  }
  *out = &list;
  return CKR_OK;
}
