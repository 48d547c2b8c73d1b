import { engine as node } from '../../src/crypto/node.ts'
import { algorithms } from '../../src/crypto/algorithms.ts'
import { encodeContext } from '../../src/crypto/canonical.ts'
import * as c from 'node:crypto'
const fns: [string, ()=>unknown][] = []
const key = c.createSecretKey(c.randomBytes(32)); const pt=new Uint8Array(Number(process.argv[2]??1024)).fill(3); const ctx=encodeContext(undefined)
fns.push(['bare',()=>{const iv=c.randomBytes(12);const x=c.createCipheriv('aes-256-gcm',key,iv);return Buffer.concat([iv,x.update(pt),x.final(),x.getAuthTag()])}])
const nonce=new Uint8Array(12), aad=new Uint8Array(120)
fns.push(['proto',()=>{const out=new Uint8Array(49+pt.length+16);const x=c.createCipheriv('aes-256-gcm',key,nonce);x.setAAD(aad);out.set(x.update(pt),49);x.final();out.set(x.getAuthTag(),49+pt.length);return out}])
for (const t of ['aes256-gcm96','xaes256-gcm','chacha20-poly1305'] as const){const a=algorithms[t]; if(a.use==='encrypt'){const k=a.open(node,a.generate(node),1); fns.push([t,()=>k.seal(pt,ctx)]); const f=k.seal(pt,ctx); fns.push([t+' open',()=>k.open(f,ctx)])}}
const iv=c.randomBytes(12);const x=c.createCipheriv('aes-256-gcm',key,iv);const sealed= Buffer.concat([iv,x.update(pt),x.final(),x.getAuthTag()])
fns.push(['bare open',()=>{const x=c.createDecipheriv('aes-256-gcm',key,sealed.subarray(0,12));x.setAuthTag(sealed.subarray(-16));return Buffer.concat([x.update(sealed.subarray(12,-16)),x.final()])}])
fns.push(['ctx',()=>encodeContext({order:'17',tenant:'x'})])
{const a=algorithms['ecdsa-p256']; if(a.use==='sign'){const k=a.open(node,a.generate(node),1);const priv=c.createPrivateKey({key:Buffer.from(k.exportMaterial()),format:'der',type:'pkcs8'});fns.push(['bare p256',()=>c.sign('sha256',pt,priv)],['p256',()=>k.sign(pt)])}}
const times = new Map<string,number[]>()
const n=pt.length>100000?30:1000
for(let r=0;r<60;r++) for(const [name,f] of fns){const t=process.hrtime.bigint();for(let i=0;i<n;i++)f();const d=Number(process.hrtime.bigint()-t)/n/1000; if(r>9)(times.get(name)??times.set(name,[]).get(name)!).push(d)}
const med=(v:number[])=>v.sort((a,b)=>a-b)[v.length>>1]!
for(const [name,v] of times) console.log(name.padEnd(24),med(v).toFixed(3),'min',v[0]!.toFixed(3),'÷bare',(med(v)/med(times.get(name.includes('open')?'bare open':name.includes('p256')?'bare p256':'bare')!)).toFixed(2))
