"""Headless Chromium over a pipe: what a page asks for, says and shows.

Chrome DevTools Protocol: JSON messages that end in a NUL, read by the browser
from its file descriptor 3 and written to 4 (--remote-debugging-pipe).
"""

import base64
import contextlib
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from typing import NamedTuple

NAMES = ('chromium', 'chromium-browser', 'google-chrome')
FLAGS = (
  '--headless',
  '--no-sandbox',
  '--disable-gpu',
  '--disable-quic',
  '--no-first-run',
  '--disable-background-networking',
  '--disable-component-update',
  '--disable-sync',
  '--remote-debugging-pipe',
)
# How many figures a report has drawn, once it has.
DRAWN = """
new Promise(done => { const look = () => document.body.dataset.drawn
  ? done(Number(document.body.dataset.drawn)) : setTimeout(look, 20); look(); })
"""
# Puts the two ends of the pipe where the browser looks for them.
LAUNCH = """
import fcntl, os, sys
read, write = (fcntl.fcntl(int(fd), fcntl.F_DUPFD, 10) for fd in sys.argv[1:3])
os.dup2(read, 3)
os.dup2(write, 4)
os.execv(sys.argv[3], sys.argv[3:])
"""


class Browser(NamedTuple):
  """An open page and everything that the browser has said of it."""

  read: int
  write: int
  session: str
  events: list[dict[str, Any]]
  left: bytearray  # what was read beyond the last message
  sent: list[int]


def found() -> str | None:
  """The browser of this machine."""
  return next(filter(None, map(shutil.which, NAMES)), None)


@contextlib.contextmanager
def page(path: str, folder: Path) -> Iterator[Browser]:
  """A blank page of the browser at `path`, its profile in `folder`."""
  to_browser, write = os.pipe()
  read, from_browser = os.pipe()
  command = [sys.executable, '-c', LAUNCH, str(to_browser), str(from_browser)]
  process = subprocess.Popen(
    [*command, path, *FLAGS, f'--user-data-dir={folder}', 'about:blank'],
    pass_fds=(to_browser, from_browser),
    stdout=subprocess.DEVNULL,
    stderr=subprocess.DEVNULL,
  )
  os.close(to_browser)
  os.close(from_browser)
  try:
    blank = Browser(read, write, '', [], bytearray(), [])
    targets = ask(blank, 'Target.getTargets')['targetInfos']
    target = next(one for one in targets if one['type'] == 'page')['targetId']
    attached = ask(
      blank, 'Target.attachToTarget', targetId=target, flatten=True
    )
    browser = blank._replace(session=attached['sessionId'])
    for domain in ('Page', 'Runtime', 'Log', 'Network'):
      ask(browser, f'{domain}.enable')
    yield browser
    ask(blank, 'Browser.close')
  finally:
    os.close(write)
    os.close(read)
    try:
      process.wait(20)
    except subprocess.TimeoutExpired:
      process.kill()
      process.wait()


def ask(browser: Browser, method: str, /, **params: Any) -> dict[str, Any]:
  """The answer to a command; what else is heard becomes an event."""
  number = len(browser.sent) + 1
  browser.sent.append(number)
  message: dict[str, Any] = {'id': number, 'method': method, 'params': params}
  if browser.session:
    message['sessionId'] = browser.session
  data = json.dumps(message).encode() + b'\0'
  while data:
    data = data[os.write(browser.write, data) :]
  while (answer := hear(browser)).get('id') != number:
    browser.events.append(answer)
  if 'error' in answer:
    raise RuntimeError(f'{method}: {answer["error"]}')
  return answer['result']


def hear(browser: Browser) -> dict[str, Any]:
  """The next message of the browser."""
  while b'\0' not in browser.left:
    data = os.read(browser.read, 1 << 16)
    if not data:
      raise RuntimeError('the browser went away')
    browser.left.extend(data)
  message, _, rest = bytes(browser.left).partition(b'\0')
  browser.left[:] = rest
  return json.loads(message)


def visit(browser: Browser, path: Path) -> None:
  """Opens a file and waits until it has loaded."""
  seen = len(browser.events)
  ask(browser, 'Page.navigate', url=path.as_uri())
  while True:
    if any(
      event.get('method') == 'Page.loadEventFired'
      for event in browser.events[seen:]
    ):
      return
    seen = len(browser.events)
    browser.events.append(hear(browser))


def run(browser: Browser, script: str) -> Any:
  """The value of a JavaScript expression; a promise is waited for."""
  answer = ask(
    browser,
    'Runtime.evaluate',
    expression=script,
    awaitPromise=True,
    returnByValue=True,
  )
  if 'exceptionDetails' in answer:
    raise RuntimeError(str(answer['exceptionDetails']))
  return answer['result'].get('value')


def requests(browser: Browser) -> list[str]:
  """Every address that was asked for, data inside the page left out."""
  return [
    event['params']['request']['url']
    for event in browser.events
    if event.get('method') == 'Network.requestWillBeSent'
    and not event['params']['request']['url'].startswith(('data:', 'blob:'))
  ]


def complaints(browser: Browser) -> list[str]:
  """Errors and warnings of the console, and uncaught exceptions."""
  said = []
  for event in browser.events:
    params, method = event.get('params', {}), event.get('method')
    if method == 'Runtime.exceptionThrown':
      said.append(str(params['exceptionDetails']))
    elif method == 'Log.entryAdded':
      said.append(str(params['entry']))
    elif method == 'Runtime.consoleAPICalled':
      said.append(str(params['args']))
  return said


def screenshot(browser: Browser) -> bytes:
  """The whole page as the bytes of a PNG file."""
  answer = ask(
    browser,
    'Page.captureScreenshot',
    format='png',
    captureBeyondViewport=True,
  )
  return base64.b64decode(answer['data'])
