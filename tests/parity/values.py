"""Expressions over the classes that hold values, for both frameworks: one a line, evaluated alone."""

SAME = {
    "Address": """
        Address('h', 1)
        Address('h', 1) == ('h', 1), hash(Address('h', 1)) == hash(('h', 1))
        Address(host='h', port=1)._asdict()
        Address('h')
        """,
    "URL": """
        URL(), URL('')
        URL('https://u:p@Example.org:123/p;x/to?abc=123#anchor').components
        URL('/p;x?a=1#').components, URL('//h/x').components
        URL('https://h') == 'https://h', URL('/a') == URL('/a'), URL('/a') == URL('/b'), URL('1') == 1
        hash(URL('/a'))
        URL('https://u:p@h:8/p'), URL('https://u@h:8/p'), URL('https://:p@h/p')
        str(URL('https://u:p@h:8/p'))
        URL('http://[')
        URL('http://[').path
        URL('http://h:x/').port
        URL('http://h:99999/').replace(username='x')
        URL('https://u:p@h/').replace(password=None), URL('https://u:p@h/').replace(username=None)
        URL('https://u:p@h/').replace(username='x'), URL('https://h/').replace(password='y')
        URL('https://h:8/').replace(port=None), URL('https://h:8/').replace(hostname='x')
        URL('https://h:8/').replace(hostname='::1'), URL('https://[::1]:8/').replace(port=9)
        URL('https://h/').replace(hostname='a:b'), URL('https://h/').replace(hostname='')
        URL('').replace(hostname='h'), URL('').replace(port=8), URL('https://h').replace(path='x')
        URL('https://h/a').replace(path='//h/x'), URL('https://h/a').replace(nothing=1)
        URL('https://h/?a=1&a=2&b=').include_query_params(a=3, c='é &')
        URL('https://h/?a=1&a=2&b=').replace_query_params(d=4, e=None)
        URL('https://h/?a=1;b=2&%41=%zz').remove_query_params('x')
        URL('https://h/?a=1&a=2&b=').remove_query_params(['a', 'b', 'x'])
        URL(scheme='https', netloc='h', path='/a', query='b=c', fragment='f')
        URL(hostname='h', port=8, username='u', password='p', scheme='ws')
        URL(path='a'), URL(path='a', scheme='https')
        URL(nothing='x')
        URL('x', path='a')
        URL('x', scope={'type': 'http'})
        URL(scope={'path': '/', 'headers': []}, path='x')
        URL(scope={'path': '/a b', 'headers': []}), URL(scope={'path': '//h/x', 'headers': []})
        URL(scope={'path': '/a', 'scheme': 'wss', 'headers': [], 'server': ('::1', 443)})
        URL(scope={'path': '/a', 'scheme': 'wss', 'headers': [], 'server': ('h', 80)})
        URL(scope={'path': '/a', 'headers': [(b'host', b'a/b')], 'server': ('h', 80)})
        URL(scope={'path': '/a', 'headers': [(b'host', b'a@b')]})
        URL(scope={'path': '/a', 'headers': [(b'host', b'h:99999')], 'server': ('x', 1)})
        URL(scope={'path': '/a', 'headers': [(b'host', b'a'), (b'host', b'b')]})
        URL(scope={'path': '/é', 'query_string': 'é'.encode(), 'headers': []})
        URL(scope={'path': '/a', 'scheme': 'gopher', 'headers': [(b'host', b'h')]})
        URL(scope={'headers': []})
        """,
    "URLPath": """
        URLPath('/a'), URLPath('/a') == '/a', hash(URLPath('/a')) == hash('/a'), URLPath('/a') + '/b'
        vars(URLPath('/a')), vars(URLPath('/a', protocol='websocket', host='h'))
        URLPath('//a'), URLPath('/a\\\\b')
        URLPath('/a', 'ftp')
        URLPath('/a', 'http').make_absolute_url('https://h/b/')
        URLPath('/a', 'http').make_absolute_url('wss://h')
        URLPath('/a', 'websocket').make_absolute_url(base_url='https://h/b')
        URLPath('/a', 'websocket').make_absolute_url('http://h')
        URLPath('/a', host='x').make_absolute_url(URL('ftp://h:1/b?c#d'))
        URLPath('/a').make_absolute_url('b'), URLPath('//a').make_absolute_url('http://h')
        """,
    "Secret": """
        Secret('x'), Secret('x') == Secret('x'), f"{Secret('x')}", [str(Secret('x'))]
        bool(Secret('')), bool(Secret('x'))
        len(Secret('x'))
        """,
    "CommaSeparatedStrings": """
        CommaSeparatedStrings('a, b,"c, d", \\'e\\''), CommaSeparatedStrings('')
        CommaSeparatedStrings(('a', 'b')), CommaSeparatedStrings(['a', 1])
        CommaSeparatedStrings(CommaSeparatedStrings('a,b'))
        CommaSeparatedStrings(5)
        str(CommaSeparatedStrings(['a', 'b'])), CommaSeparatedStrings('a,b') == ['a', 'b']
        CommaSeparatedStrings('a,b')[0], CommaSeparatedStrings('a,b,c')[1:], len(CommaSeparatedStrings('a'))
        'a' in CommaSeparatedStrings('a,b'), CommaSeparatedStrings('a,b').index('b')
        list(reversed(CommaSeparatedStrings('a,b')))
        CommaSeparatedStrings('a,b')[5]
        """,
    "ImmutableMultiDict": """
        ImmutableMultiDict(), ImmutableMultiDict([('a', 1), ('a', 2), ('b', 3)]), ImmutableMultiDict(None)
        ImmutableMultiDict({'a': 1}, b=2), ImmutableMultiDict([('a', 1)], a=2), ImmutableMultiDict(a=1)
        ImmutableMultiDict((x for x in [('a', 1)])), ImmutableMultiDict(iter([]))
        ImmutableMultiDict(MultiDict([('a', 1), ('a', 2)]), b=1), ImmutableMultiDict(FormData(a='b'))
        ImmutableMultiDict({}, {})
        ImmutableMultiDict('ab')
        ImmutableMultiDict([1])
        ImmutableMultiDict([([], 1)])
        ImmutableMultiDict([('a', 1), ('b', 2)]) == ImmutableMultiDict([('b', 2), ('a', 1)])
        ImmutableMultiDict([('a', 1), ('a', 2)]) == ImmutableMultiDict([('a', 2), ('a', 1)])
        ImmutableMultiDict([('a', 1)]) == {'a': 1}
        ImmutableMultiDict(a=1) == MultiDict(a=1), MultiDict(a=1) == ImmutableMultiDict(a=1)
        hash(ImmutableMultiDict())
        ImmutableMultiDict([('a', 1), ('a', 2)]).getlist('a'), ImmutableMultiDict().getlist('x')
        ImmutableMultiDict([('a', 1), ('b', 3), ('a', 2)]).keys()
        [*ImmutableMultiDict([('a', 1), ('b', 3), ('a', 2)]).values()]
        ImmutableMultiDict([('a', 1), ('b', 3), ('a', 2)]).items()
        ImmutableMultiDict([('a', 1), ('b', 3), ('a', 2)]).multi_items()
        list(ImmutableMultiDict([('a', 1), ('b', 3), ('a', 2)])), len(ImmutableMultiDict(a=1))
        ImmutableMultiDict(a=1).get('b'), ImmutableMultiDict(a=1).get('b', 3), 'a' in ImmutableMultiDict(a=1)
        ImmutableMultiDict(a=1)['b']
        ImmutableMultiDict(a=1).pop('a')
        list(reversed(ImmutableMultiDict(a=1)))
        [] in ImmutableMultiDict(a=1)
        """,
    "MultiDict": """
        MultiDict(), MultiDict([('a', 1), ('a', 2)], b=3), MultiDict({}) == MultiDict()
        MultiDict().__delitem__('a')
        MultiDict().popitem()
        MultiDict().pop('a'), MultiDict().pop('a', 5), MultiDict().poplist('a')
        MultiDict().update(1)
        MultiDict().update({}, {})
        """,
    "QueryParams": """
        QueryParams(), QueryParams(''), QueryParams(b''), QueryParams(b'a=%C3%A9+b')
        QueryParams('a=1&a=2&b=&c&=d&%41=%C3%A9+x&z=%zz%ff'), QueryParams('a=1&&b=2&'), QueryParams('a;b=1')
        QueryParams([('a', 1), (2, 'b')]), QueryParams({'a': 1}, b=None), QueryParams('a=1', b=2)
        QueryParams(QueryParams('a=1&a=2')), QueryParams(MultiDict(a=1))
        QueryParams('a', 'b')
        QueryParams(5)
        str(QueryParams('a=1&a=2&b=%20é/')), QueryParams('a=1').getlist('a'), QueryParams('a=1&a=2')['a']
        QueryParams('a=1&b=2') == QueryParams('b=2&a=1'), QueryParams('a=1') == 'a=1'
        QueryParams('a=1') == ImmutableMultiDict(a='1'), ImmutableMultiDict(a='1') == QueryParams('a=1')
        len(QueryParams('&'.join('a=1' for _ in range(2000))).getlist('a'))
        """,
    "Headers": """
        Headers(), Headers({}), Headers({'A': 'b', 'C-D': 'é'}), Headers({'A': 'b', 'a': 'c'})
        Headers(raw=[(b'a', b'1'), (b'a', b'2')]), Headers(raw=((b'a', b'1'),))
        Headers(raw=[(b'A', b'1')]).keys()
        Headers(raw=[(b'A', b'1')])['a']
        Headers(scope={'headers': ((b'a', b'1'),)}), Headers(scope={'headers': iter([(b'a', b'1')])})
        Headers({'A': 'b'}, raw=[])
        Headers({'A': 'b'}, scope={})
        Headers(raw=[], scope={'headers': []})
        Headers({'A': '\u20ac'})
        Headers({'A': 1})
        Headers([('a', 'b')])
        Headers({'A': 'b'}).raw, Headers({'A': 'b'}).keys(), Headers({'A': 'b'}).values()
        Headers({'A': 'b'}).items(), list(Headers({'A': 'b'})), len(Headers({'A': 'b'}))
        Headers(raw=[(b'a', b'1'), (b'a', b'2')]).getlist('A'), Headers().getlist('A')
        Headers()['x-Y']
        Headers().get('x'), Headers().get('x', 'd'), 'X' in Headers({'x': 'y'})
        5 in Headers()
        Headers({'a': '1', 'b': '2'}) == Headers({'B': '2', 'A': '1'}), Headers({'a': '1'}) == {'a': '1'}
        Headers({'a': '1'}) == MutableHeaders({'a': '1'}), MutableHeaders({'a': '1'}) == Headers({'a': '1'})
        Headers({'a': '1'}).mutablecopy()
        hash(Headers())
        Headers({'a': '1'}) | {'b': '2'}
        """,
    "MutableHeaders": """
        MutableHeaders({'a': '1'}) | {'b': '2', 'A': '3'}, MutableHeaders({'a': '1'}) | Headers({'b': '2'})
        MutableHeaders({'a': '1'}).__ior__({'b': '2'}), MutableHeaders({'a': '1'}).raw
        MutableHeaders({'a': '1'}).setdefault('A', '2'), MutableHeaders().setdefault('A', '2')
        MutableHeaders({'a': '1'}).update(b='2')
        MutableHeaders({'a': '1'}).update([('b', '2')])
        MutableHeaders().append('x', '\u20ac')
        MutableHeaders().__delitem__('x')
        """,
    "State": """
        State({'a': 1}).a, State({'a': 1})['a'], list(State({'a': 1, 'b': 2})), len(State({'a': 1}))
        'a' in State({'a': 1}), State({1: 2})[1], State() == State(), getattr(State(), 'x', 5)
        State().x
        State()['x']
        State().__delitem__('x')
        State(), State(None), State(state={'a': 1}).a
        """,
    "UploadFile, FormData": """
        UploadFile(io.BytesIO(b'x'))
        UploadFile(io.BytesIO(b'x'), size=1, filename='f', headers=Headers({'Content-Type': 'text/plain'}))
        UploadFile(io.BytesIO(), headers=Headers({'Content-Type': 'a/b'})).content_type
        UploadFile(file=io.BytesIO()).content_type
        UploadFile()
        UploadFile(io.BytesIO(), 5)
        FormData(), FormData({'a': 'b'}, c='d'), FormData([('a', 'b'), ('a', 'c')])
        FormData([('a', UploadFile(io.BytesIO(), filename='f'))])
        FormData(a='b') == FormData(a='b'), FormData(a='b') == MultiDict(a='b')
        FormData({}, {})
        """,
    "BackgroundTask, BackgroundTasks": """
        BackgroundTask(print, 1, a=2).args, BackgroundTask(print, 1, a=2).kwargs, BackgroundTask(print).func
        BackgroundTask(print).is_async, BackgroundTask(BackgroundTasks()).is_async
        BackgroundTask()
        BackgroundTasks().tasks, BackgroundTasks([1, 2]).tasks, BackgroundTasks(tasks=(1,)).tasks
        BackgroundTasks(5)
        isinstance(BackgroundTasks(), BackgroundTask)
        """,
    "convertors": """
        Convertor().regex, [*CONVERTOR_TYPES.items()]
        Convertor().convert('x')
        Convertor().to_string('x')
        StringConvertor().convert('a'), StringConvertor().to_string('a'), StringConvertor().to_string(5)
        StringConvertor().to_string('')
        StringConvertor().to_string('a/b')
        PathConvertor().convert('a/b'), PathConvertor().to_string('a/b'), PathConvertor().to_string('')
        IntegerConvertor().convert('007'), IntegerConvertor().to_string('7'), IntegerConvertor().to_string(7.9)
        IntegerConvertor().convert('-7'), IntegerConvertor().convert('9' * 99)
        IntegerConvertor().to_string(-1)
        IntegerConvertor().to_string('x')
        FloatConvertor().convert('1.50'), FloatConvertor().convert('9' * 99), FloatConvertor().to_string('7')
        FloatConvertor().to_string(-1.0)
        FloatConvertor().to_string(float('nan'))
        FloatConvertor().to_string(float('inf'))
        UUIDConvertor().convert('ec38df32-ceda-4cfa-9b4a-1aeb94ad551a'), UUIDConvertor().to_string('x')
        UUIDConvertor().convert('EC38DF32CEDA4CFA9B4A1AEB94AD551A'), UUIDConvertor().to_string(uuid.UUID(int=5))
        [type(CONVERTOR_TYPES[n]).regex for n in CONVERTOR_TYPES], [c.convert('x') for c in [PathConvertor()]]
        """,
    "EnvironError, exceptions": """
        EnvironError('x'), EnvironError.__bases__, ClientDisconnect(), ClientDisconnect('x')
        HTTPException(404), HTTPException(404).detail, HTTPException(404, headers={'a': 'b'}).headers
        str(HTTPException(404, 'x')), HTTPException(404, 'x').args, HTTPException(404, detail='').detail
        HTTPException(999)
        HTTPException()
        WebSocketException(1008), WebSocketException(1008, None).reason, WebSocketException(code=1008).code
        str(WebSocketException(1008, 'r')), WebSocketException(1008, 'r').args
        WebSocketDisconnect().code, WebSocketDisconnect().reason, WebSocketDisconnect(1001, 'x').reason
        repr(WebSocketDisconnect(1001, 'x')), WebSocketDisconnect(1001, None).args
        WebSocketDisconnected('x'), WebSocketDisconnected.__bases__
        NoMatchFound('n', {'a': 1, 'b': 2}), NoMatchFound.__bases__
        MultiPartException('x').message, MultiPartException(message='x').message, str(MultiPartException('x'))
        MalformedRangeHeader().content, MalformedRangeHeader('x'), str(MalformedRangeHeader('x'))
        RangeNotSatisfiable(5).max_size, RangeNotSatisfiable(5)
        RangeNotSatisfiable()
        """,
    "formparsers": """
        FormMessage.FIELD_START, list(FormMessage), FormMessage['END'], FormMessage.END.value
        MultipartPart(), MultipartPart() == MultipartPart(), MultipartPart(field_name='n').data
        MultipartPart(b'x', 'n', bytearray(b'd'), None, [(b'a', b'b')])
        """,
    "websockets": """
        list(WebSocketState), WebSocketState.CONNECTED.value, WebSocketState(3)
        WebSocketClose().code, WebSocketClose().reason, WebSocketClose(1001, 'x').reason
        vars(WebSocketClose(code=1001, reason=None))
        """,
    "schemas": """
        EndpointInfo('/a', 'get', print), EndpointInfo('/a', 'get', print)._fields
        BaseSchemaGenerator().get_endpoints([]), BaseSchemaGenerator().get_endpoints([BaseRoute()])
        BaseSchemaGenerator().get_schema([])
        """,
    "NotModifiedResponse": """
        NotModifiedResponse(Headers({'etag': '"x"', 'a': 'b', 'Date': 'd'})).raw_headers
        NotModifiedResponse({'etag': '"x"', 'Date': 'd'}).raw_headers, NotModifiedResponse({}).status_code
        NotModifiedResponse.NOT_MODIFIED_HEADERS
        """,
    "routing": """
        BaseRoute().matches({})
        BaseRoute().url_path_for('x')
        list(Match), Match.FULL.value
        compile_path('/a/{b:int}/{c}')[1:]
        compile_path('/a/{b:int}/{b}')
        compile_path('/a/{b:nothing}')
        replace_params('/a/{b}', {'b': StringConvertor()}, {'b': 'x', 'c': 'y'})
        PARAM_REGEX.findall('/a/{b:int}/{c}/{d:}/{1}'), PARAM_FORMAT_REGEX.findall('/a/{b}/{c:int}')
        get_name(print), get_name(Secret), get_name(Secret('x'))
        """,
    "HTTPConnection, Request": """
        HTTPConnection({'type': 'http'}), HTTPConnection({'type': 'http'}) == HTTPConnection({'type': 'http'})
        HTTPConnection({'type': 'http', 'a': 1})['a'], HTTPConnection({'type': 'http'}).get('x')
        len(HTTPConnection({'type': 'http'})), list(HTTPConnection({'type': 'http'}))
        HTTPConnection({'type': 'lifespan'})
        HTTPConnection({})
        HTTPConnection({'type': 'http'})['x']
        HTTPConnection({'type': 'http'}).app
        HTTPConnection({'type': 'http'}).client, HTTPConnection({'type': 'http', 'client': ['a', 1]}).client
        HTTPConnection({'type': 'http'}).session
        HTTPConnection({'type': 'http', 'session': {'a': 1}}).session
        HTTPConnection({'type': 'http'}).auth
        HTTPConnection({'type': 'http'}).user
        HTTPConnection({'type': 'http'}).path_params, HTTPConnection({'type': 'http'}).state
        HTTPConnection({'type': 'http'}).url_for('x')
        HTTPConnection({'type': 'http', 'headers': [(b'cookie', b'a=1; b'), (b'cookie', b'a=2')]}).cookies
        HTTPConnection({'type': 'http', 'path': '/a', 'root_path': '/r', 'headers': [(b'host', b'h')]}).base_url
        HTTPConnection({'type': 'http', 'app_root_path': '/q/', 'root_path': '/r', 'headers': []}).base_url
        HTTPConnection({'type': 'http', 'query_string': b'a=1&a=2'}).query_params
        HTTPConnection({'type': 'http', 'state': {'a': 1}}).state.a
        HTTPConnection({'type': 'websocket', 'scheme': 'ws', 'path': '/a', 'headers': [(b'host', b'h')]}).url
        HTTPConnection(scope={'type': 'http', 'headers': []}, receive=None).headers
        Request({'type': 'http', 'method': 'BREW'}).method, Request({'type': 'http', 'headers': []}).headers
        Request({'type': 'websocket'})
        Request({'type': 'http'}).method
        SERVER_PUSH_HEADERS_TO_COPY == {*SERVER_PUSH_HEADERS_TO_COPY}, sorted(SERVER_PUSH_HEADERS_TO_COPY)
        """,
    "responses": """
        (r := Response()).raw_headers, r.body, r.status_code, r.media_type, r.charset, r.background
        Response('é').raw_headers, Response('é').body, Response(b'x').body
        Response(memoryview(b'x')).body
        Response(None).body
        Response(5)
        Response(['x'])
        Response('x', 404, {'A': 'b'}, 'text/plain').raw_headers
        Response('x', media_type='text/html').raw_headers
        Response('x', media_type='text/html; charset=latin-1').raw_headers
        Response('x', media_type='application/json').raw_headers
        Response('x', headers={'content-type': 'a/b', 'Content-Length': '5'}).raw_headers
        Response('x', headers=Headers(raw=[(b'a', b'1'), (b'a', b'2')])).raw_headers
        Response('x', headers=[('a', 'b')]).raw_headers
        Response(status_code=204).raw_headers, Response(status_code=304).raw_headers
        Response(status_code=101).raw_headers
        Response('x', status_code=999).status_code
        Response(content='x', status_code=200, headers=None, media_type=None, background=None).body
        Response('x').render('y'), Response('x').render(None)
        Response('x').init_headers({'a': 'b'})
        PlainTextResponse('é').raw_headers, PlainTextResponse('é').body
        PlainTextResponse().raw_headers
        HTMLResponse('<').raw_headers, HTMLResponse().body
        JSONResponse({'a': [1, 2.5, None, True, 'é\\u2028']}).body, JSONResponse({}).raw_headers
        JSONResponse()
        JSONResponse(float('nan'))
        JSONResponse({1: 2}).body, JSONResponse([]).body, JSONResponse(None).body
        JSONResponse('x').body, JSONResponse((1,)).body
        JSONResponse({1, 2})
        JSONResponse(object())
        JSONResponse(b'x')
        JSONResponse({}, media_type='application/problem+json').raw_headers
        JSONResponse({}, 201, {'a': 'b'}).raw_headers
        RedirectResponse('/a b?c=é#d').raw_headers, RedirectResponse(URL('https://h/x')).raw_headers
        RedirectResponse('/', 303, {'a': 'b'}).raw_headers
        RedirectResponse('https://h/%20?a=[b]&c=%C3').raw_headers
        RedirectResponse('//h').raw_headers, RedirectResponse('').raw_headers
        RedirectResponse('/a\\nb').raw_headers
        RedirectResponse(5).raw_headers
        RedirectResponse(URLPath('/a')).raw_headers
        RedirectResponse('/a').body, RedirectResponse('/a').status_code
        RedirectResponse('/a').media_type
        RedirectResponse()
        StreamingResponse(iter([])).raw_headers
        StreamingResponse(iter([]), media_type='text/plain').raw_headers
        StreamingResponse(iter([]), 201).status_code
        StreamingResponse(None)
        StreamingResponse(5)
        StreamingResponse('ab').raw_headers
        type(StreamingResponse(iter([])).body_iterator).__name__
        StreamingResponse(iter([]), background=5).background
        FileResponse('/nowhere').raw_headers, FileResponse('/nowhere').media_type
        FileResponse('/x.html').raw_headers, FileResponse('/x.tar.gz').media_type
        FileResponse('/x', filename='é.txt').raw_headers
        FileResponse('/x', filename='a b.txt').raw_headers
        FileResponse('/x', filename='a.txt', content_disposition_type='inline').raw_headers
        FileResponse('/x', 404, {'a': 'b'}, 'text/css').raw_headers
        FileResponse()
        FileResponse('/x', headers={'content-disposition': 'x', 'accept-ranges': 'none'}, filename='f').raw_headers
        FileResponse('/x').chunk_size, FileResponse('/x').path, FileResponse('/x').stat_result
        FileResponse('/x').filename, FileResponse('/x').status_code, FileResponse('/x').max_ranges
        """,
    "cookies": """
        (r := Response(), r.set_cookie('a', 'b'), r.raw_headers)[2]
        (r := Response(), r.set_cookie('a', 'b', 10, 20, '/p', 'd', True, True, 'strict', True), r.raw_headers)[2][:1]
        (r := Response(), r.set_cookie('a'), r.raw_headers)[2]
        (r := Response(), r.set_cookie('a', 'b;c d"é'), r.raw_headers)[2]
        (r := Response(), r.set_cookie('a', max_age=0), r.raw_headers)[2]
        (r := Response(), r.set_cookie('a', expires='Thu, 01 Jan 1970 00:00:00 GMT'), r.raw_headers)[2]
        (r := Response(), r.set_cookie('a', path=None, samesite=None), r.raw_headers)[2]
        (r := Response(), r.set_cookie('a', samesite='None'), r.raw_headers)[2]
        (r := Response(), r.set_cookie('a', samesite='x'), r.raw_headers)[2]
        (r := Response(), r.set_cookie('a b', 'x'), r.raw_headers)[2]
        (r := Response(), r.set_cookie('', 'x'), r.raw_headers)[2]
        (r := Response(), r.set_cookie('a', 5), r.raw_headers)[2]
        (r := Response(), r.set_cookie('a', 'x'), r.set_cookie('a', 'y'), r.raw_headers)[3]
        (r := Response(), r.set_cookie('a', partitioned=True), r.raw_headers)[2]
        (r := Response(), r.set_cookie('a', path='/é'), r.raw_headers)[2]
        (r := Response(), r.delete_cookie('a', '/p', 'd', True, True, 'none'), r.raw_headers)[2][0][1][:12]
        """,
    "routes": """
        Route('/a', print), Route('/a', print).methods, Route('/a', print).name
        Route('a', print)
        Route('/a/{b:int}', FormData, name='n'), Mount('/a', print), Mount('/a', routes=[])
        Mount('', print), Mount('/a/', print).path
        Mount('a', print)
        Mount('/a')
        Mount('/a', print, []).name
        Mount('/a', print) == Mount('/a', print), Route('/a', print) == Route('/a', print)
        Host('h', print) == Host('h', print)
        Host('h', print), Host('{x}.h:8', print, 'n').host
        Host('/h', print)
        WebSocketRoute('/a', print), WebSocketRoute('/a', print).name
        WebSocketRoute('a', print)
        Route('/a', print).path_format, Route('/a/{b}', print).param_convertors
        Route('/a', print, methods=['get', 'POST']).methods == {'GET', 'HEAD', 'POST'}
        Route('/a/{b}', print, name='n').url_path_for('n', b='x')
        Route('/a/{b}', print, name='n').url_path_for('n')
        Route('/a/{b}', print, name='n').url_path_for('m', b=1)
        Mount('/a', routes=[Route('/b', print, name='c')], name='n').url_path_for('n:c')
        Mount('/a', print, name='n').url_path_for('n', path='/x')
        WebSocketRoute('/a', print, name='n').url_path_for('n').protocol
        Host('{x}.h', Router(routes=[Route('/b', print, name='c')]), name='n').url_path_for('n:c', x='y').host
        [*Router().routes], Router().redirect_slashes, [*Router(routes=[BaseRoute()]).routes]
        Router().url_path_for('x')
        Router() == Router()
        """,
    "endpoints": """
        HTTPEndpoint({'type': 'http', 'headers': []}, None, None).scope
        HTTPEndpoint({'type': 'websocket'}, None, None)
        WebSocketEndpoint({'type': 'http'}, None, None)
        WebSocketEndpoint.encoding
        """,
    "authentication": """
        AuthCredentials(['a']).scopes, AuthCredentials().scopes, AuthCredentials(('a',)).scopes
        SimpleUser('n').display_name, SimpleUser('n').is_authenticated, UnauthenticatedUser().display_name
        UnauthenticatedUser().is_authenticated
        SimpleUser('n').identity
        UnauthenticatedUser().identity
        BaseUser().is_authenticated
        """,
}

# What is listed in the table of differences, by a name that it knows.
DIFFERENT = {
    "URL('').replace(path='//h/x')": "URL('').replace(path='//h/x')",
    "URL(path='//h/x')": "URL(path='//h/x')",
    "URL of a URL": "URL(URL('/a'))",
    "URL of a socket": "URL(scope={'path': '/a', 'headers': [], 'server': ('/run/x', None)})",
    "scope without query": "HTTPConnection({'type': 'http'}).query_params",
    "scope without headers": "Headers(scope={})",
    "scope without headers, its URL": "URL(scope={'path': '/a'})",
    "scope of another scheme": "URL(scope={'path': '/a', 'scheme': 'x', 'headers': [], 'server': ('h', 1)})",
    "keys of two kinds": "MultiDict([('a', 1), (1, 2)]) == MultiDict([(1, 2), ('a', 1)])",
    "query in UTF-8": "QueryParams('a=é'.encode())",
    "query in Latin-1": "QueryParams(b'a=\\xe9')",
    "name beyond Latin-1": "'\u20ac' in Headers()",
    "name beyond Latin-1, got": "Headers().get('\u20ac')",
    "header that is no text": "MutableHeaders().__setitem__('x', 5)",
    "headers or a list": "MutableHeaders() | []",
    "state without it": "State().__delattr__('x')",
    "state of a defaultdict": "State(defaultdict(list)).x",
    "int of ' 7 '": "IntegerConvertor().convert(' 7 ')",
    "int of '1_0'": "IntegerConvertor().convert('1_0')",
    "int of '\u0667'": "IntegerConvertor().convert('\u0667')",
    "float of 'inf'": "FloatConvertor().convert('inf')",
    "float of '1e400'": "FloatConvertor().convert('1e400')",
    "text of MultiPartException": "MultiPartException('x')",
    "text of WebSocketDisconnect": "WebSocketDisconnect(1001, 'x')",
    "text of MalformedRangeHeader": "MalformedRangeHeader()",
}
